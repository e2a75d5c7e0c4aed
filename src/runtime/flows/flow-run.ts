/** One flow execution under its lease, in the terms of the engine that drives executions. */
import { flowState } from '../../engine/index.ts';
import type { JsonObject, Plan, PlanNode } from '../../engine/types.ts';
import type { FlowStore } from '../../store/flow-store.ts';
import type { ClaimedFlow } from '../../store/flow-rows.ts';
import type { ClaimedExecution } from '../../store/rows.ts';
import { clockFrom, type DatabaseClock } from '../clock.ts';
import { Execution } from '../execution.ts';
import type { SourceFinder } from '../node-sources.ts';
import type { Pricing } from '../prices.ts';
import type { ExecutionWorld } from '../world.ts';
import { flowStoreFor } from './flow-records.ts';
import type { FlowTaskRegistry } from './registry.ts';
import { storedNodes } from './stored-tasks.ts';
import { taskNodeType } from './task-node.ts';
import { TaskNotes } from './task-notes.ts';

/** A flow is written after each task, and one of many at a time waits for the others' writes: it is shown as running when a task that runs for as long would be. */
const showBegunAfterMs = 500;

export class FlowRun {
  readonly claim: ClaimedFlow;
  readonly plan: Plan;
  readonly registry: FlowTaskRegistry;
  readonly store: FlowStore;
  readonly notes: TaskNotes;
  readonly finder: SourceFinder;
  readonly pricing: Pricing;
  readonly clock: DatabaseClock;
  /** When tasks began, of those that this claim found stored and of those that it has begun itself. */
  readonly #startedMs = new Map<string, number>();

  constructor(claim: ClaimedFlow, plan: Plan, { registry, store, world }: FlowWorld) {
    this.claim = claim;
    this.plan = plan;
    this.registry = registry;
    this.store = store;
    this.notes = new TaskNotes(world.redact);
    this.finder = world;
    this.pricing = world.prices;
    this.clock = clockFrom(claim.nowMs);
  }

  /** What the script of the execution says of a task. */
  scriptOf(task: string): JsonObject {
    const script = this.claim.script;
    const entry = script !== null && Object.hasOwn(script, task) ? script[task] : undefined;
    return typeof entry === 'object' && entry !== null && !Array.isArray(entry) ? entry : {};
  }

  /** When the time of a task is up, or that of the flow: milliseconds since 1970, by the database's clock. */
  deadlineOf(task: PlanNode): number {
    const startedMs = this.#startedMs.get(task.id) ?? this.claim.tasks?.find(({ task_name }) => task_name === task.id)?.started_ms ?? this.clock.now();
    this.#startedMs.set(task.id, startedMs);
    const flowMs = this.claim.nowMs + (this.plan.document.limits.maxSeconds - this.claim.ageSeconds) * 1_000;
    return Math.min(startedMs + (task.timeoutSeconds ?? 0) * 1_000, flowMs);
  }
}

/** What every flow execution of a worker process shares. */
export interface FlowWorld {
  registry: FlowTaskRegistry;
  store: FlowStore;
  world: ExecutionWorld;
}

/** The execution as the driver takes it: its nodes are tasks, its rows go to the tables of flows. */
export function flowExecution(claim: ClaimedFlow, flowId: string, plan: Plan, flows: FlowWorld): Execution {
  const run = new FlowRun(claim, plan, flows);
  const world: ExecutionWorld = { ...flows.world, nodeTypes: new Map([['task', taskNodeType(run)]]), store: flowStoreFor(run, flows.world.store) };
  return new Execution(asExecution(claim, flowId), { plan, tenantSlug: claim.tenantSlug, showBegunAfterMs }, world);
}

function asExecution(claim: ClaimedFlow, flowId: string): ClaimedExecution {
  const { executionId, attempt, createdAt, losses, tenantId, userId, nowMs, ageSeconds, inputContext, tasks, isBegun } = claim;
  return {
    executionId, attempt, createdAt, losses, tenantId, userId, nowMs, workflowId: flowId, versionId: '', drivenSeconds: ageSeconds,
    parentId: null, onlyNodeId: null, repeats: null, caps: null, isBegun,
    initialState: flowState(inputContext), nodes: tasks === null ? null : storedNodes(tasks),
  };
}
