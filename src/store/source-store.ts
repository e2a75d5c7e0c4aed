/** What workers know together of sources: circuits, kept answers, and what models have cost. Each kind of question goes through a lane of its own. */
import type pg from 'pg';
import type { JsonObject } from '../engine/types.ts';
import { Lane } from './lane.ts';
import type { StoreLog } from './pool.ts';
import { retryingQuery, type Query } from './query.ts';
import { costText } from './rows.ts';

interface Circuit { failures: number; state: 'CLOSED' | 'OPEN' | 'HALF_OPEN'; seconds: number }
interface Outcome { tenantId: string; sourceKey: string; isOk: boolean; threshold: number; seconds: number; errorCode: string | null }
interface Kept { answer: JsonObject; bytes: Uint8Array | null }
interface ToKeep extends Kept { tenantId: string; cacheKey: string; sourceName: string | null; seconds: number }
interface Spent { tenantId: string; runId: string; tokens: number; costUnits: number }
interface Refusal { code: 'BUDGET_EXHAUSTED' | 'QUOTA_EXCEEDED'; scope: string; limit: number; spent: number }
interface Pair { tenantId: string; name: string }

const maxItems = 500;
const maxBytes = 8 * 1024 * 1024;

export class SourceStore {
  readonly #closing = new AbortController();
  readonly #query: Query;
  readonly #log: StoreLog;
  readonly #circuits: Lane<Pair, Circuit>;
  readonly #outcomes: Lane<Outcome, undefined>;
  readonly #finds: Lane<Pair, Kept | null>;
  readonly #keeps: Lane<ToKeep, undefined>;
  readonly #refusals: Lane<Pair, Refusal | null>;
  readonly #spent: Lane<Spent, undefined>;

  constructor(pool: pg.Pool, log: StoreLog) {
    this.#query = retryingQuery(pool, this.#closing.signal, log);
    this.#log = log;
    const lane = <Item, Result>(send: (items: Item[]) => Promise<Result[]>): Lane<Item, Result> => new Lane({ maxItems, maxWeight: Infinity, send });
    this.#circuits = lane((pairs) => this.#enter(pairs));
    this.#outcomes = lane((outcomes) => this.#record(outcomes));
    this.#finds = lane((pairs) => this.#find(pairs));
    this.#keeps = new Lane({ maxItems, maxWeight: maxBytes, weight: ({ bytes }) => bytes?.length ?? 0, send: (answers) => this.#keep(answers) });
    this.#refusals = lane((pairs) => this.#ask(pairs));
    this.#spent = lane((calls) => this.#count(calls));
  }

  enterCircuit(tenantId: string, sourceKey: string): Promise<Circuit> {
    return this.#circuits.add({ tenantId, name: sourceKey });
  }

  async recordCircuit(outcome: Outcome): Promise<void> {
    await this.#outcomes.add(outcome);
  }

  findAnswer(tenantId: string, cacheKey: string): Promise<Kept | null> {
    return this.#finds.add({ tenantId, name: cacheKey });
  }

  async keepAnswer(answer: ToKeep): Promise<void> {
    await this.#keeps.add(answer);
  }

  /** Why a model may not be called for this run; null when it may. */
  budgetRefusal(tenantId: string, runId: string): Promise<Refusal | null> {
    return this.#refusals.add({ tenantId, name: runId });
  }

  async recordSpending(call: Spent): Promise<void> {
    await this.#spent.add(call);
  }

  /** Waits for what is under way; statements that fail from now on are not tried again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#circuits, this.#outcomes, this.#finds, this.#keeps, this.#refusals, this.#spent].map((lane) => lane.drained()));
  }

  async #enter(pairs: Pair[]): Promise<Circuit[]> {
    const rows = await this.#query<Circuit & { place: number }>('select place, failures, state, seconds from app_private.enter_circuits($1, $2)', lists(pairs), 'enter_circuits');
    return placed(pairs, rows, ({ failures, state, seconds }) => ({ failures, state, seconds }), { failures: 0, state: 'CLOSED', seconds: 0 });
  }

  async #record(outcomes: Outcome[]): Promise<undefined[]> {
    await this.#query('select app_private.record_circuits($1)', [JSON.stringify(outcomes.map(({ tenantId, sourceKey, isOk, threshold, seconds, errorCode }) => (
      { tenant_id: tenantId, source_key: sourceKey, is_ok: isOk, threshold, seconds, error_code: errorCode })))]);
    return outcomes.map(() => undefined);
  }

  async #find(pairs: Pair[]): Promise<(Kept | null)[]> {
    const rows = await this.#query<Kept & { place: number }>('select place, answer, bytes from app_private.find_answers($1, $2)', lists(pairs), 'find_answers');
    return placed<Kept & { place: number }, Kept | null>(pairs, rows, ({ answer, bytes }) => ({ answer, bytes }), null);
  }

  async #keep(answers: ToKeep[]): Promise<undefined[]> {
    await this.#query('select app_private.keep_answers($1)', [JSON.stringify(answers.map(({ tenantId, cacheKey, sourceName, answer, bytes, seconds }) => (
      { tenant_id: tenantId, cache_key: cacheKey, source_name: sourceName?.slice(0, 255), answer, bytes: bytes === null ? null : Buffer.from(bytes).toString('base64'), seconds })))]);
    return answers.map(() => undefined);
  }

  async #ask(pairs: Pair[]): Promise<(Refusal | null)[]> {
    const rows = await this.#query<{ place: number; code: Refusal['code']; scope: string; monthly_limit: string; spent: string }>(
      'select place, code, scope, monthly_limit, spent from app_private.budget_refusals($1, $2)', lists(pairs), 'budget_refusals');
    return placed<(typeof rows)[number], Refusal | null>(pairs, rows, ({ code, scope, monthly_limit: limit, spent }) => ({ code, scope, limit: Number(limit), spent: Number(spent) }), null);
  }

  async #count(calls: Spent[]): Promise<undefined[]> {
    const rows = await this.#query<{ tenant_id: string; api_key_id: string | null; event: string; monthly_limit: string; spent: string }>(
      'select * from app_private.record_spending($1)',
      [JSON.stringify(calls.map(({ tenantId, runId, tokens, costUnits }) => ({ tenant_id: tenantId, run_id: runId, tokens, cost: costText(costUnits) })))]);
    for (const { event, ...details } of rows) this.#log.warn(details, event === 'stop' ? 'a monthly budget is used up' : 'a monthly budget has reached its warning');
    return calls.map(() => undefined);
  }
}

function lists(pairs: Pair[]): [string[], string[]] {
  return [pairs.map(({ tenantId }) => tenantId), pairs.map(({ name }) => name)];
}

/** Answers by the place, from 1, of what was asked. */
function placed<Row extends { place: number }, Result>(pairs: Pair[], rows: Row[], read: (row: Row) => Result, otherwise: Result): Result[] {
  const results: Result[] = pairs.map(() => otherwise);
  for (const row of rows) results[row.place - 1] = read(row);
  return results;
}
