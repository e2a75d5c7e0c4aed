/** One node of an execution, made ready to run. */
import { isObject } from '../engine/json.ts';
import type { Json, JsonObject, NodeType, Plan, PlanNode, QueueSpec, RunCommand, RunNode, SourcePort } from '../engine/types.ts';
import type { ClaimedExecution, StoredNode } from '../store/rows.ts';
import { keepArtifact } from './artifacts.ts';
import type { DatabaseClock } from './clock.ts';
import { Gate } from './gate.ts';
import type { KindSlot } from './kind-slots.ts';
import { NodeLog } from './node-log.ts';
import type { WorkerLog } from './log.ts';
import { NodeRecord, type Asked, type Wait } from './node-record.ts';
import type { NodeTask } from './node-run.ts';
import { sourcePortFor, type SourceTeller, type Used } from './node-sources.ts';
import type { ExecutionWorld } from './world.ts';

export type RunNodeCommand = Extract<RunCommand, { type: 'run' }>;

/** What the nodes of one execution share. */
export interface NodeSetting {
  claim: ClaimedExecution;
  plan: Plan;
  tenantSlug: string;
  world: ExecutionWorld;
  clock: DatabaseClock;
  signal: AbortSignal;
  /** A node's model has said more. */
  onText(nodeId: string): void;
  /** A node begins or ends to wait for a slot of its kind. */
  onSlotWait(waits: boolean): void;
}

export interface StartedNode {
  record: NodeRecord;
  task: NodeTask;
}

/** `arrivals`: which edges to it were taken. */
export function startedNode(setting: NodeSetting, command: RunNodeCommand, arrivals: RunNode['arrivals'], stored: StoredNode | null): StartedNode {
  const { claim, plan, world, clock } = setting;
  const node = plan.nodes.get(command.nodeId)!;
  const record = new NodeRecord(node, command.sequence, { clock, log: new NodeLog(clock, world.redact, stored?.logs ?? []), stored });
  const queues = queuesTaken(node, arrivals);
  const gate = queues.length === 0 ? null : new Gate({
    queues, tenantId: claim.tenantId, workflowId: claim.workflowId, permits: world.permits, prepare: () => world.sources.prepare(), onWait: (queueId) => record.waitsForQueue(queueId),
  }, stored?.status === 'rate_limited');
  return { record, task: new StartedTask(setting, record, command, gate, stored) };
}

/** The queues that the edges taken to a node run through. */
function queuesTaken({ queues }: PlanNode, arrivals: RunNode['arrivals']): readonly QueueSpec[] {
  if (queues.size === 0 || arrivals === null) return noQueues;
  return [...new Set([...queues].flatMap(([from, queue]) => (arrivals.get(from) === true ? [queue] : [])))];
}

const noQueues: readonly QueueSpec[] = [];

/** A class: of many nodes under way each keeps as little as can be. */
class StartedTask implements NodeTask, SourceTeller {
  readonly node: PlanNode;
  readonly type: NodeType;
  readonly log: NodeLog;
  readonly state: JsonObject;
  readonly outputs: JsonObject;
  readonly idempotencyKey: string;
  readonly gate: Gate | null;
  readonly used: { tokens: number; costUnits: number };
  earlierAttempts: number;
  triesBefore: number;
  kept: JsonObject | null;
  chargedTokens: number;
  resumedWith: Json | undefined = undefined;
  readonly #setting: NodeSetting;
  readonly #record: NodeRecord;

  constructor(setting: NodeSetting, record: NodeRecord, command: RunNodeCommand, gate: Gate | null, stored: StoredNode | null) {
    const left = leftBetweenTries(stored);
    this.#setting = setting;
    this.#record = record;
    this.node = record.node;
    this.type = setting.world.nodeTypes.get(record.node.type)!;
    this.log = record.log;
    this.state = command.data;
    this.outputs = command.outputs;
    this.idempotencyKey = `${setting.claim.executionId}:${record.node.id}`;
    this.gate = gate;
    this.used = left.used;
    this.chargedTokens = left.used.tokens;
    this.earlierAttempts = record.attempts;
    this.triesBefore = left.tries;
    this.kept = left.kept;
  }

  get signal(): AbortSignal {
    return this.#setting.signal;
  }

  get place(): { executionId: string; nodeId: string } {
    return { executionId: this.#setting.claim.executionId, nodeId: this.node.id };
  }

  get serverLog(): WorkerLog {
    return this.#setting.world.log;
  }

  redact(text: string): string {
    return this.#setting.world.redact(text);
  }

  onAttempt(attempt: number): void {
    this.#record.attempts = attempt;
  }

  takeSlot(): KindSlot | Promise<KindSlot> {
    const { world, claim, signal } = this.#setting;
    const { type } = this.node;
    const slot = world.slots.take(type);
    if (slot !== null) return slot;
    this.#record.waitsForQueue(`WORKER_MAX_PER_NODE_KIND ${type}`);
    this.#setting.onSlotWait(true);
    return world.slots.wait(type, claim.tenantId, signal).finally(() => {
      this.#record.waitsForQueue(null);
      this.#setting.onSlotWait(false);
    });
  }

  source(signal: AbortSignal): SourcePort | null {
    const { plan, claim, tenantSlug, world } = this.#setting;
    return sourcePortFor({
      plan, node: this.node, signal, idempotencyKey: this.idempotencyKey, tenantId: claim.tenantId, tenantSlug, runId: claim.executionId, pricing: world.prices, teller: this,
    }, world);
  }

  saveArtifact(bytes: Uint8Array, mediaType: string): Promise<string> {
    const { world, claim } = this.#setting;
    return keepArtifact(world.artifacts, claim, this.node.id, bytes, mediaType);
  }

  warn(message: string): void {
    this.log.add('warn', message);
  }

  onText(text: string): void {
    this.#record.says(text);
    this.#setting.onText(this.node.id);
  }

  onAnswer({ sourceName, isCached }: Omit<Asked, 'model'>, { tokens, costUnits, model }: Used): void {
    this.used.tokens += tokens;
    this.used.costUnits += costUnits;
    this.#record.says(null);
    this.#record.answeredBy({ sourceName, model, isCached });
  }
}

/** Waits after which a node is tried (again): nothing comes of them but its turn. */
export function endsWithATry(reason: string | null): boolean {
  return reason === 'rate_limit' || reason === 'retry';
}

/** What an earlier claim kept of a node that waits between two tries or in the middle of one. */
function leftBetweenTries(stored: StoredNode | null): Pick<NodeTask, 'used' | 'kept'> & { tries: number } {
  const details = stored !== null && endsWithATry(stored.wait_reason) ? stored.wait_details ?? {} : {};
  const used = isObject(details.used) ? details.used : {};
  return { tries: Number(details.tries ?? 0), kept: isObject(details.kept) ? details.kept : null, used: { tokens: Number(used.tokens ?? 0), costUnits: Number(used.cost_units ?? 0) } };
}

/** What an earlier claim left of a wait: still waiting, or what it is to be run again with. Null when it did not wait, or may try its queue again. */
export function leftOverWait(stored: StoredNode | null, clock: DatabaseClock): { wait: Wait } | { result: Json } | null {
  if (stored === null || (stored.status !== 'waiting' && stored.status !== 'rate_limited')) return null;
  const { result, ...details } = stored.wait_details ?? {};
  if (result !== undefined) return { result };
  const isOver = stored.wait_until !== null && Date.parse(stored.wait_until) <= clock.now();
  if (endsWithATry(stored.wait_reason) && (isOver || stored.wait_until === null)) return null;
  if (isOver) return { result: null };
  return { wait: { reason: stored.wait_reason ?? 'delay', until: stored.wait_until, details } };
}
