/**
 * The engine's statements: claim, checkpoint, finish, release, each through a lane of its own, and the few reads.
 * Writes answer whether the lease still held; false means that nothing was written and the driver must stop.
 */
import type pg from 'pg';
import type { Json, JsonObject } from '../engine/types.ts';
import { claimedExecution, type ExecutionClaimRow } from './claim-rows.ts';
import { Lane } from './lane.ts';
import { retryingQuery, type Query } from './query.ts';
import type { StoreLog } from './pool.ts';
import { endingJson, nodeRowJson, type ClaimedExecution, type Ending, type LeaseRef, type NodeRow } from './rows.ts';

export interface WorkflowVersion {
  id: string;
  tenantId: string;
  tenantSlug: string;
  spec: JsonObject;
}

export interface SourceRow {
  name: string;
  kind: string;
  config: JsonObject;
}

/** US dollars per million tokens, or per image. */
export interface ModelPrice {
  model: string;
  inputPerMillion: number;
  outputPerMillion: number;
  perImage: number;
}

/** What a waiting node of an execution has been waiting for. */
export interface WaitResult {
  executionId: string;
  nodeId: string;
  result: Json;
}

interface WrittenNode { nodeId: string; json: string }
interface NodeWrite { lease: LeaseRef; nodes: readonly WrittenNode[]; bytes: number; begins: boolean }
interface FinishWrite extends NodeWrite { ending: string }
interface ReleaseWrite extends NodeWrite { runAt: string | null }

const maxItems = 500;
const maxBytes = 8 * 1024 * 1024;

export class EngineStore {
  readonly #query: Query;
  readonly #closing = new AbortController();
  readonly #workerId: () => string;
  readonly #ownSessions = new Set<number>();
  readonly #claims: Lane<string, ClaimedExecution | null>;
  readonly #checkpoints: Lane<NodeWrite, boolean>;
  readonly #finishes: Lane<FinishWrite, boolean>;
  readonly #releases: Lane<ReleaseWrite, boolean>;
  readonly #versions: Lane<string, WorkflowVersion | null>;
  readonly #sources: Lane<{ tenantId: string; name: string }, SourceRow | null>;

  /** `onBatch`: told what goes into each statement of a lane. `workerId` is read at each statement: a worker that was taken for dead goes on under a new one. */
  constructor(pool: pg.Pool, workerId: () => string, log: StoreLog, onBatch: (lane: string, size: number) => void = () => undefined) {
    this.#query = retryingQuery(pool, this.#closing.signal, log);
    this.#workerId = workerId;
    pool.on('connect', (client) => this.#ownSessions.add(sessionOf(client)));
    pool.on('remove', (client) => this.#ownSessions.delete(sessionOf(client)));
    const told = (lane: string) => (size: number): void => onBatch(lane, size);
    const weight = (write: { bytes: number }): number => write.bytes;
    this.#claims = new Lane({ maxItems, maxWeight: maxBytes, onSend: told('claim'), send: (ids) => this.#claim(workerId(), ids) });
    this.#checkpoints = new Lane<NodeWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, onSend: told('checkpoint'), send: (writes) => this.#checkpoint(workerId(), writes) });
    this.#finishes = new Lane<FinishWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, onSend: told('finish'), send: (writes) => this.#finish(workerId(), writes) });
    this.#releases = new Lane<ReleaseWrite, boolean>({ maxItems, maxWeight: maxBytes, weight, onSend: told('release'), send: (writes) => this.#release(workerId(), writes) });
    this.#versions = new Lane({ maxItems: 100, maxWeight: maxBytes, send: (ids) => this.#loadVersions(ids) });
    this.#sources = new Lane({ maxItems, maxWeight: maxBytes, send: (wanted) => this.#findSources(wanted) });
  }

  /** Null: unknown, over, or held by a living worker. */
  claim(executionId: string): Promise<ClaimedExecution | null> {
    return this.#claims.add(executionId);
  }

  /** `begins`: marks the execution as running. */
  checkpoint(lease: LeaseRef, rows: NodeRow[], begins = false): Promise<boolean> {
    return this.#checkpoints.add(nodeWrite(lease, rows, begins));
  }

  finish(lease: LeaseRef, rows: NodeRow[], ending: Ending): Promise<boolean> {
    const write = nodeWrite(lease, rows, false);
    const json = endingJson(lease, ending);
    return this.#finishes.add({ ...write, bytes: write.bytes + json.length, ending: json });
  }

  /** Gives the lease back; a job goes on at `runAt` (ISO; null: only an event wakes it). `begins`: as of `checkpoint`. */
  release(lease: LeaseRef, rows: NodeRow[], runAt: string | null, begins = false): Promise<boolean> {
    return this.#releases.add({ ...nodeWrite(lease, rows, begins), runAt });
  }

  loadVersion(versionId: string): Promise<WorkflowVersion | null> {
    return this.#versions.add(versionId);
  }

  /** The tenant's active source of that name. */
  findSource(tenantId: string, name: string): Promise<SourceRow | null> {
    return this.#sources.add({ tenantId, name });
  }

  /** A sealed secret of the tenant; `hosts` null: none was named. */
  async findSecret(tenantId: string, name: string): Promise<{ sealed: string; hosts: string[] | null } | null> {
    const rows = await this.#query<{ sealed: string; hosts: string[] | null }>('select sealed, hosts from app_private.find_secret($1, $2)', [tenantId, name]);
    return rows[0] ?? null;
  }

  async currentPrices(): Promise<ModelPrice[]> {
    const rows = await this.#query<{ model: string; input: string; output: string; image: string }>(
      'select model, input_per_million as input, output_per_million as output, per_image as image from app_private.current_model_prices()', []);
    return rows.map((row) => ({
      model: row.model, inputPerMillion: Number(row.input), outputPerMillion: Number(row.output), perImage: Number(row.image),
    }));
  }

  /** For executions that somebody else has changed: which are no longer held under these attempts, and what has come for nodes that wait. */
  async look(leases: LeaseRef[]): Promise<{ lost: string[]; results: WaitResult[] }> {
    const rows = await this.#query<{ lost: string[]; results: { execution_id: string; node_id: string; result: Json }[] | null }>(
      'select lost, results from app_private.look_at_leases($1, $2, $3)',
      [this.#workerId(), leases.map((lease) => lease.executionId), leases.map((lease) => lease.attempt)]);
    const { lost, results } = rows[0]!;
    return { lost, results: (results ?? []).map(({ execution_id, node_id, result }) => ({ executionId: execution_id, nodeId: node_id, result })) };
  }

  /** Keeps bytes that a node made and gives their id; null when the lease is lost. */
  async saveArtifact(lease: LeaseRef, nodeId: string, bytes: Uint8Array, mediaType: string): Promise<string | null> {
    const rows = await this.#query<{ id: string | null }>('select app_private.save_artifact($1, $2, $3, $4, $5, $6) as id',
      [this.#workerId(), lease.executionId, lease.attempt, nodeId, mediaType, Buffer.from(bytes)]);
    return rows[0]!.id;
  }

  /** An execution, of a workflow or a flow, could not be driven for a reason outside of its nodes: it is given back for later, or given up. */
  async recordFault(executionId: string): Promise<'again' | 'given_up' | 'over'> {
    const rows = await this.#query<{ became: 'again' | 'given_up' | 'over' }>('select app_private.record_fault($1, $2) as became', [this.#workerId(), executionId]);
    return rows[0]!.became;
  }

  /** From now on the death of this worker counts against the execution, of a workflow or a flow. False: its lease is lost. */
  async beginTrial({ executionId, attempt }: LeaseRef): Promise<boolean> {
    const rows = await this.#query<{ has_begun: boolean }>('select app_private.begin_trial($1, $2, $3) as has_begun', [this.#workerId(), executionId, attempt]);
    return rows[0]!.has_begun;
  }

  /** Ends one, of a workflow or a flow, that is claimed and not run, as failed. False: its lease is lost. */
  async giveUp({ executionId, attempt }: LeaseRef, { code, message }: { code: string; message: string }): Promise<boolean> {
    const rows = await this.#query<{ is_over: boolean }>('select app_private.give_up_claim($1, $2, $3, $4, $5) as is_over', [this.#workerId(), executionId, attempt, code, message]);
    return rows[0]!.is_over;
  }

  /** Puts what tenants with long queues have behind what others have; returns how many queues are long. */
  async sortLongQueues(): Promise<number> {
    const rows = await this.#query<{ long: number }>('select app_private.share_turns(0) as long', []);
    return rows[0]!.long;
  }

  async requeueOrphans(): Promise<number> {
    const rows = await this.#query<{ count: number }>('select app_private.requeue_orphans() as count', []);
    return rows[0]!.count;
  }

  /** Partitions of the coming months; returns how many were missing. */
  async makePartitions(): Promise<number> {
    const rows = await this.#query<{ count: number }>('select app_private.ensure_partitions() as count', []);
    return rows[0]!.count;
  }

  /** Is this the PostgreSQL session of one of our own statements? */
  isOwnConnection(processId: number): boolean {
    return this.#ownSessions.has(processId);
  }

  /** Waits for what is under way; statements that fail from now on are not tried again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#claims, this.#checkpoints, this.#finishes, this.#releases].map((lane) => lane.drained()));
  }

  async #claim(workerId: string, ids: string[]): Promise<(ClaimedExecution | null)[]> {
    const rows = await this.#query<ExecutionClaimRow>('select * from app_private.claim_executions($1, $2)', [workerId, ids], 'claim');
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => {
      const row = byId.get(id);
      return row === undefined ? null : claimedExecution(row);
    });
  }

  async #checkpoint(workerId: string, writes: NodeWrite[]): Promise<boolean[]> {
    const each = ofEach(writes);
    const rows = await this.#query<{ lost: string[] }>('select app_private.checkpoint_executions($1, $2, $3, $4, $5) as lost',
      [workerId, each.map(({ lease }) => lease.executionId), each.map(({ lease }) => lease.attempt), nodesJson(each), begun(each)], 'checkpoint');
    return held(writes, rows[0]!.lost);
  }

  async #finish(workerId: string, writes: FinishWrite[]): Promise<boolean[]> {
    const rows = await this.#query<{ lost: string[] }>('select app_private.finish_executions($1, $2, $3, $4, $5) as lost', [
      workerId, writes.map(({ lease }) => lease.executionId), writes.map(({ lease }) => lease.attempt),
      `[${writes.map(({ ending }) => ending).join(',')}]`, nodesJson(ofEach(writes)),
    ], 'finish');
    return held(writes, rows[0]!.lost);
  }

  async #release(workerId: string, writes: ReleaseWrite[]): Promise<boolean[]> {
    const rows = await this.#query<{ lost: string[] }>('select app_private.release_executions($1, $2, $3, $4, $5, $6) as lost', [
      workerId, writes.map(({ lease }) => lease.executionId), writes.map(({ lease }) => lease.attempt),
      writes.map(({ runAt }) => runAt), nodesJson(ofEach(writes)), begun(writes),
    ], 'release');
    return held(writes, rows[0]!.lost);
  }

  async #loadVersions(ids: string[]): Promise<(WorkflowVersion | null)[]> {
    const rows = await this.#query<{ id: string; tenant_id: string; tenant_slug: string; spec: JsonObject }>(
      'select * from app_private.load_workflow_versions($1)', [[...new Set(ids)]]);
    const byId = new Map(rows.map((row) => [row.id, { id: row.id, tenantId: row.tenant_id, tenantSlug: row.tenant_slug, spec: row.spec }]));
    return ids.map((id) => byId.get(id) ?? null);
  }

  async #findSources(wanted: { tenantId: string; name: string }[]): Promise<(SourceRow | null)[]> {
    const rows = await this.#query<SourceRow & { tenant_id: string }>('select * from app_private.find_sources($1, $2)',
      [wanted.map(({ tenantId }) => tenantId), wanted.map(({ name }) => name)]);
    return wanted.map(({ tenantId, name }) => {
      const row = rows.find((found) => found.tenant_id === tenantId && found.name === name);
      return row === undefined ? null : { name: row.name, kind: row.kind, config: row.config };
    });
  }
}

/** The driver knows it, its types do not say so. */
function sessionOf(client: pg.ClientBase): number {
  return (client as unknown as { processID: number }).processID;
}

function nodeWrite(lease: LeaseRef, rows: NodeRow[], begins: boolean): NodeWrite {
  let bytes = 0;
  const nodes = rows.map((row) => {
    const json = nodeRowJson(lease, row);
    bytes += json.length;
    return { nodeId: row.nodeId, json };
  });
  return { lease, nodes: lastForms(nodes), bytes, begins };
}

/** One statement may write a row once: the last of several forms of it counts. */
function lastForms(nodes: readonly WrittenNode[]): readonly WrittenNode[] {
  return nodes.length < 2 ? nodes : [...new Map(nodes.map((node) => [node.nodeId, node])).values()];
}

/** One write of each execution. */
function ofEach(writes: NodeWrite[]): NodeWrite[] {
  const each = new Map<string, NodeWrite>();
  for (const write of writes) {
    const { executionId } = write.lease;
    const known = each.get(executionId);
    each.set(executionId, known === undefined ? write : { ...write, nodes: lastForms([...known.nodes, ...write.nodes]), begins: known.begins || write.begins });
  }
  return [...each.values()];
}

function nodesJson(writes: NodeWrite[]): string {
  const rows: string[] = [];
  for (const { nodes } of writes) for (const { json } of nodes) rows.push(json);
  return `[${rows.join(',')}]`;
}

function begun(writes: NodeWrite[]): string[] {
  return writes.filter(({ begins }) => begins).map(({ lease }) => lease.executionId);
}

function held(writes: NodeWrite[], lost: string[]): boolean[] {
  if (lost.length === 0) return writes.map(() => true);
  const gone = new Set(lost);
  return writes.map(({ lease }) => !gone.has(lease.executionId));
}
