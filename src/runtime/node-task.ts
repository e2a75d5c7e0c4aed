/** One node of an execution, made ready to run. */
import { tokenCostUnits } from '../engine/index.ts';
import type { Json, Plan, RunCommand } from '../engine/types.ts';
import type { ClaimedExecution, StoredNode } from '../store/rows.ts';
import type { DatabaseClock } from './clock.ts';
import { NodeLog } from './node-log.ts';
import { NodeRecord, type Wait } from './node-record.ts';
import type { NodeTask } from './node-run.ts';
import { sourcePortFor } from './node-sources.ts';
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
}

export interface StartedNode {
  record: NodeRecord;
  task: NodeTask;
}

export function startedNode(setting: NodeSetting, command: RunNodeCommand, stored: StoredNode | null): StartedNode {
  const { claim, plan, world, clock } = setting;
  const node = plan.nodes.get(command.nodeId)!;
  const log = new NodeLog(clock, world.redact);
  const record = new NodeRecord(node, command.sequence, { clock, log, stored });
  const idempotencyKey = `${claim.executionId}:${node.id}`;
  const task: NodeTask = {
    node, log, idempotencyKey,
    type: world.nodeTypes.get(node.type)!,
    state: command.data,
    outputs: command.outputs,
    earlierAttempts: record.attempts,
    resumedWith: undefined,
    signal: setting.signal,
    serverLog: world.log,
    place: { executionId: claim.executionId, nodeId: node.id },
    redact: world.redact,
    onAttempt: (attempt) => {
      record.attempts = attempt;
    },
    source: (signal) => sourcePortFor({
      plan, node, signal, idempotencyKey, tenantId: claim.tenantId, tenantSlug: setting.tenantSlug, costUnits: (...call) => costOf(world, ...call),
    }, { sources: world.sources, findSource: (tenantId, name) => world.store.findSource(tenantId, name) }),
  };
  return { record, task };
}

function costOf(world: ExecutionWorld, model: string, inputTokens: number, outputTokens: number): number {
  const price = world.prices.of(model);
  return price === null ? 0 : tokenCostUnits(price, inputTokens, outputTokens);
}

/** What an earlier claim left of a wait: still waiting, or what it is to be run again with. Null when it did not wait. */
export function leftOverWait(stored: StoredNode | null, clock: DatabaseClock): { wait: Wait } | { result: Json } | null {
  if (stored === null || (stored.status !== 'waiting' && stored.status !== 'rate_limited')) return null;
  const { result, ...details } = stored.wait_details ?? {};
  if (result !== undefined) return { result };
  if (stored.wait_until !== null && Date.parse(stored.wait_until) <= clock.now()) return { result: null };
  return { wait: { reason: stored.wait_reason ?? 'delay', until: stored.wait_until, details } };
}
