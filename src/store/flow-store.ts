/** The engine's statements for flow executions: as of EngineStore, each through a lane of its own. */
import type pg from 'pg';
import type { JsonObject } from '../engine/types.ts';
import { claimedFlow, flowEndingJson, taskRowJson, type ClaimedFlow, type FlowChild, type FlowClaimRow, type FlowEnding, type TaskRow } from './flow-rows.ts';
import { Lane } from './lane.ts';
import type { StoreLog } from './pool.ts';
import { retryingQuery, type Query } from './query.ts';
import type { LeaseRef } from './rows.ts';

interface TaskWrite { lease: LeaseRef; tasks: Map<string, string>; bytes: number; begins: boolean }
interface FinishWrite extends TaskWrite { ending: string }
interface ReleaseWrite extends TaskWrite { runAt: string | null }

const maxItems = 500;
const maxBytes = 8 * 1024 * 1024;

export class FlowStore {
  readonly #closing = new AbortController();
  readonly #query: Query;
  readonly #workerId: () => string;
  readonly #claims: Lane<string, ClaimedFlow | null>;
  readonly #checkpoints: Lane<TaskWrite, boolean>;
  readonly #finishes: Lane<FinishWrite, boolean>;
  readonly #releases: Lane<ReleaseWrite, boolean>;

  /** `workerId` is read at each statement: a worker that was taken for dead goes on under a new one. */
  constructor(pool: pg.Pool, workerId: () => string, log: StoreLog) {
    this.#query = retryingQuery(pool, this.#closing.signal, log);
    this.#workerId = workerId;
    const weight = (write: { bytes: number }): number => write.bytes;
    this.#claims = new Lane({ maxItems, maxWeight: maxBytes, send: (ids) => this.#claim(ids) });
    this.#checkpoints = new Lane<TaskWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, send: (writes) => this.#checkpoint(writes) });
    this.#finishes = new Lane<FinishWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, send: (writes) => this.#finish(writes) });
    this.#releases = new Lane<ReleaseWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, send: (writes) => this.#release(writes) });
  }

  /** `runId`: the UUID by which the engine knows the flow execution. Null: unknown, over, or held by a living worker. */
  claim(runId: string): Promise<ClaimedFlow | null> {
    return this.#claims.add(runId);
  }

  /** `begins`: marks the flow execution as running. */
  checkpoint(lease: LeaseRef, rows: TaskRow[], begins = false): Promise<boolean> {
    return this.#checkpoints.add(taskWrite(lease, rows, begins));
  }

  finish(lease: LeaseRef, rows: TaskRow[], ending: FlowEnding): Promise<boolean> {
    const write = taskWrite(lease, rows, false);
    const json = flowEndingJson(lease, ending);
    return this.#finishes.add({ ...write, bytes: write.bytes + json.length, ending: json });
  }

  /** Gives the lease back; a job goes on at `runAt` (ISO; null: only an event wakes it). `begins`: as of `checkpoint`. */
  release(lease: LeaseRef, rows: TaskRow[], runAt: string | null, begins = false): Promise<boolean> {
    return this.#releases.add({ ...taskWrite(lease, rows, begins), runAt });
  }

  /** Starts the workflow that a task runs, unless it has been; null when there is none to start. */
  async runWorkflow(lease: LeaseRef, task: string, workflow: string, initialState: JsonObject): Promise<FlowChild | null> {
    const [row] = await this.#query<{ execution_id: string; status: string; final_state: JsonObject | null; error_message: string | null }>(
      'select * from app_private.run_flow_workflow($1, $2, $3, $4, $5, $6)',
      [this.#workerId(), lease.executionId, lease.attempt, task, workflow, JSON.stringify(initialState)]);
    return row === undefined ? null : { executionId: row.execution_id, status: row.status, finalState: row.final_state, errorMessage: row.error_message };
  }

  /** Waits for what is under way; statements that fail from now on are not tried again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#claims, this.#checkpoints, this.#finishes, this.#releases].map((lane) => lane.drained()));
  }

  async #claim(runIds: string[]): Promise<(ClaimedFlow | null)[]> {
    const rows = await this.#query<FlowClaimRow>('select * from app_private.claim_flows($1, $2)', [this.#workerId(), runIds], 'claim flows');
    const byId = new Map(rows.map((row) => [row.id, row]));
    return runIds.map((id) => {
      const row = byId.get(id);
      return row === undefined ? null : claimedFlow(row);
    });
  }

  async #checkpoint(writes: TaskWrite[]): Promise<boolean[]> {
    const leases = [...new Map(writes.map(({ lease }) => [lease.executionId, lease])).values()];
    const rows = await this.#query<{ lost: string[] }>('select app_private.checkpoint_flow_executions($1, $2, $3, $4, $5) as lost',
      [this.#workerId(), leases.map((lease) => lease.executionId), leases.map((lease) => lease.attempt), tasksJson(writes), begun(writes)], 'checkpoint flows');
    return held(writes, rows[0]!.lost);
  }

  async #finish(writes: FinishWrite[]): Promise<boolean[]> {
    const rows = await this.#query<{ lost: string[] }>('select app_private.finish_flow_executions($1, $2, $3) as lost',
      [this.#workerId(), `[${writes.map(({ ending }) => ending).join(',')}]`, tasksJson(writes)], 'finish flows');
    return held(writes, rows[0]!.lost);
  }

  async #release(writes: ReleaseWrite[]): Promise<boolean[]> {
    const rows = await this.#query<{ lost: string[] }>('select app_private.release_flow_executions($1, $2, $3, $4, $5, $6) as lost', [
      this.#workerId(), writes.map(({ lease }) => lease.executionId), writes.map(({ lease }) => lease.attempt),
      writes.map(({ runAt }) => runAt), tasksJson(writes), begun(writes),
    ], 'release flows');
    return held(writes, rows[0]!.lost);
  }
}

function taskWrite(lease: LeaseRef, rows: TaskRow[], begins: boolean): TaskWrite {
  const tasks = new Map<string, string>();
  let bytes = 0;
  for (const row of rows) {
    const json = taskRowJson(lease, row);
    tasks.set(`${lease.executionId} ${row.sequence}`, json);
    bytes += json.length;
  }
  return { lease, tasks, bytes, begins };
}

/** One statement may write a row once: the last of several forms of it counts. */
function tasksJson(writes: TaskWrite[]): string {
  const last = new Map<string, string>();
  for (const { tasks } of writes) for (const [key, json] of tasks) last.set(key, json);
  return `[${[...last.values()].join(',')}]`;
}

function begun(writes: TaskWrite[]): string[] {
  return writes.filter(({ begins }) => begins).map(({ lease }) => lease.executionId);
}

function held(writes: TaskWrite[], lost: string[]): boolean[] {
  const gone = new Set(lost);
  return writes.map(({ lease }) => !gone.has(lease.executionId));
}
