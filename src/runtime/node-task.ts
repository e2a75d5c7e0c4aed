/** One node of an execution, made ready to run. */
import { isObject } from '../engine/json.ts';
import type { Json, Plan, QueueSpec, RunCommand } from '../engine/types.ts';
import type { ClaimedExecution, StoredNode } from '../store/rows.ts';
import { keepArtifact } from './artifacts.ts';
import type { DatabaseClock } from './clock.ts';
import { Gate } from './gate.ts';
import type { KindSlot } from './kind-slots.ts';
import { NodeLog } from './node-log.ts';
import { NodeRecord, type Wait } from './node-record.ts';
import type { NodeTask } from './node-run.ts';
import { sourcePortFor } from './node-sources.ts';
import { pricing } from './prices.ts';
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

/** `queues`: those that the edges taken to it run through. */
export function startedNode(setting: NodeSetting, command: RunNodeCommand, queues: readonly QueueSpec[], stored: StoredNode | null): StartedNode {
  const { claim, plan, world, clock } = setting;
  const node = plan.nodes.get(command.nodeId)!;
  const log = new NodeLog(clock, world.redact, stored?.logs ?? []);
  const record = new NodeRecord(node, command.sequence, { clock, log, stored });
  const idempotencyKey = `${claim.executionId}:${node.id}`;
  const left = leftBetweenTries(stored);
  const gate = queues.length === 0 ? null : new Gate({
    queues, tenantId: claim.tenantId, workflowId: claim.workflowId, permits: world.permits, prepare: () => world.sources.prepare(), onWait: (queueId) => record.waitsForQueue(queueId),
  }, stored?.status === 'rate_limited');
  const { used } = left;
  const task: NodeTask = {
    takeSlot: () => takeSlot(setting, record, node.type),
    node, log, idempotencyKey, gate, used, chargedTokens: used.tokens, kept: left.kept,
    type: world.nodeTypes.get(node.type)!,
    state: command.data,
    outputs: command.outputs,
    earlierAttempts: record.attempts,
    triesBefore: left.tries,
    resumedWith: undefined,
    signal: setting.signal,
    serverLog: world.log,
    place: { executionId: claim.executionId, nodeId: node.id },
    redact: world.redact,
    onAttempt: (attempt) => {
      record.attempts = attempt;
    },
    source: (signal) => sourcePortFor({
      plan, node, signal, idempotencyKey, tenantId: claim.tenantId, tenantSlug: setting.tenantSlug, runId: claim.executionId, ...pricing(world.prices),
      log: (message) => log.add('warn', message),
      onText: (text) => {
        record.says(text);
        setting.onText(node.id);
      },
      onAnswer: ({ tokens, costUnits, ...asked }) => {
        used.tokens += tokens;
        used.costUnits += costUnits;
        record.says(null);
        record.answeredBy(asked);
      },
    }, { sources: world.sources, findSource: (tenantId, name) => world.store.findSource(tenantId, name) }),
    saveArtifact: (bytes, mediaType) => keepArtifact(world.artifacts, claim, node.id, bytes, mediaType),
  };
  return { record, task };
}

function takeSlot({ world, claim, signal, onSlotWait }: NodeSetting, record: NodeRecord, kind: string): KindSlot | Promise<KindSlot> {
  const slot = world.slots.take(kind);
  if (slot !== null) return slot;
  record.waitsForQueue(`WORKER_MAX_PER_NODE_KIND ${kind}`);
  onSlotWait(true);
  return world.slots.wait(kind, claim.tenantId, signal).finally(() => {
    record.waitsForQueue(null);
    onSlotWait(false);
  });
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
