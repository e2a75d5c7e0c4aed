/** What every execution of a worker process shares. */
import type { NodeType } from '../engine/types.ts';
import type { EngineStore } from '../store/engine-store.ts';
import type { PermitStore } from '../store/permit-store.ts';
import type { Sources } from '../sources/index.ts';
import type { WorkerLog } from './log.ts';
import type { KindSlots } from './kind-slots.ts';
import type { PriceBook } from './prices.ts';
import type { WorkerMetrics } from './worker-metrics.ts';
import type { WaitingRoom } from './waiting-room.ts';

/** What the driver of an execution writes and asks; of a flow execution it is another table's. Checkpoints are written in the order in which they were asked for. */
export type ExecutionStore = Pick<EngineStore, 'checkpoint' | 'finish' | 'release' | 'findSource'>;

export interface ExecutionWorld {
  store: ExecutionStore;
  /** Of queues. */
  permits: Pick<PermitStore, 'acquire' | 'charge'>;
  /** Where bytes are kept. */
  artifacts: Pick<EngineStore, 'saveArtifact'>;
  sources: Sources;
  prices: PriceBook;
  nodeTypes: ReadonlyMap<string, NodeType>;
  /** Where executions wait for their turn. */
  room: WaitingRoom;
  /** For nodes with an effect. */
  slots: KindSlots;
  log: WorkerLog;
  metrics: WorkerMetrics;
  /** Takes the values of secrets out of a text. */
  redact(text: string): string;
}
