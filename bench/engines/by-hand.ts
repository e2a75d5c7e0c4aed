/** What a batch design written by hand reaches: no policies, no API, no retries, no queues; the same rows, leases with fencing, and a checkpoint after each effect. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { Lane } from '../../src/store/lane.ts';
import { callServer, eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

const batch = 500;
const maxDriven = 1_000;

interface Step { executionId: string; attempt: number; nodeId: string; output: string; sequence: number; startedAt: string; completedAt: string }
interface Claimed { id: string; attempt: number; kind: Kind }

/** Rows whose execution is no longer held under that attempt are not written. */
const insertSteps = `insert into node_executions (execution_id, node_id, tenant_id, sequence_number, status, output, started_at, completed_at)
  select given.id, given.node, held.tenant_id, given.sequence, 'completed', given.output, given.started_at, given.completed_at
    from unnest($1::uuid[], $2::int[], $3::text[], $4::jsonb[], $5::int[], $6::timestamptz[], $7::timestamptz[]) as given (id, attempt, node, output, sequence, started_at, completed_at)
    join executions as held on held.id = given.id and held.attempt = given.attempt and held.status = 'running'`;

/** "Full": with the indexes that the documents ask for. */
export function open(options: EngineOptions): Promise<Engine> {
  return openWith(options, ['by-hand.sql', 'by-hand-indexes.sql']);
}

export async function openWith({ urls, effectUrl }: EngineOptions, files: string[]): Promise<Engine> {
  const pool = new pg.Pool({ connectionString: urls.postgres, max: 6 });
  const [tenant, user, workflow] = [randomUUID(), randomUUID(), randomUUID()];
  for (const file of files) await pool.query(readFileSync(path.join(import.meta.dirname, file), 'utf8'));
  await pool.query(`insert into tenants values ('${tenant}', 'bench'); insert into users values ('${user}', '${tenant}'); insert into workflows values ('${workflow}', '${tenant}', '{}')`);
  let left = 0;
  let driven = 0;
  let claiming = false;
  let arrived = false;
  let waits: (() => void) | null = null;

  const checkpoints = new Lane<Step, undefined>({
    maxItems: batch * stepsOf.effect, maxWeight: Infinity,
    async send(steps) {
      await pool.query({ name: 'checkpoint', text: insertSteps, values: columns(steps) });
      return steps.map(() => undefined);
    },
  });
  const finishes = new Lane<{ execution: Claimed; steps: Step[] }, undefined>({
    maxItems: batch, maxWeight: Infinity,
    async send(finished) {
      const values = [finished.map(({ execution }) => execution.id), finished.map(({ execution }) => execution.attempt)];
      const { rowCount } = await pool.query({
        name: 'finish', values: [...columns(finished.flatMap(({ steps }) => steps)), ...values],
        text: `with steps as (${insertSteps}), finished as (
            update executions set status = 'completed', completed_at = now(), lease_until = null, final_state = initial_state || '{"step_5": "done"}', metrics = '{"tokens": 0}'
              from unnest($8::uuid[], $9::int[]) as given (id, attempt)
             where executions.id = given.id and executions.attempt = given.attempt and executions.status = 'running' returning executions.id)
          select pg_notify('changed', string_agg(part.ids, '')) from (select substr(string_agg(id::text, ','), 1, 7900) as ids from finished) as part, (select count(*) from finished) as done (n)`,
      });
      if (rowCount !== 1) throw new Error('nothing was finished');
      return finished.map(() => undefined);
    },
  });

  async function claim(): Promise<void> {
    arrived = true;
    if (claiming) return;
    claiming = true;
    while (arrived && driven < maxDriven) {
      arrived = false;
      const { rows } = await pool.query<Claimed>({
        name: 'claim',
        text: `with mine as (select id from executions where status = 'pending' order by created_at, id limit $1 for update skip locked)
          update executions set status = 'running', attempt = attempt + 1, started_at = now(), lease_until = now() + interval '15 seconds' from mine where executions.id = mine.id
          returning executions.id, attempt, initial_state ->> 'kind' as kind`, values: [batch],
      });
      if (rows.length === batch) arrived = true;
      driven += rows.length;
      for (const execution of rows) void drive(execution);
    }
    claiming = false;
  }

  async function drive(execution: Claimed): Promise<void> {
    const steps: Step[] = [];
    for (let step = 1; step <= stepsOf.effect; step += 1) {
      const startedAt = new Date().toISOString();
      const output = execution.kind === 'pure' ? 'done' : await callServer(effectUrl, step);
      const row = { executionId: execution.id, attempt: execution.attempt, nodeId: `step_${step}`, output: JSON.stringify(output), sequence: step, startedAt, completedAt: new Date().toISOString() };
      if (execution.kind === 'effect' && step < stepsOf.effect) await checkpoints.add(row);
      else steps.push(row);
    }
    await finishes.add({ execution, steps });
    driven -= 1;
    left -= 1;
    if (driven < maxDriven / 2 && arrived && !claiming) void claim();
    if (left === 0) waits?.();
  }

  async function many(kind: Kind, count: number): Promise<void> {
    left = count;
    const done = new Promise<void>((resolve) => {
      waits = resolve;
    });
    await eachOf(Math.ceil(count / batch), 2, async (place) => {
      const size = Math.min(batch, count - place * batch);
      await pool.query({ name: 'start', text: `insert into executions (tenant_id, user_id, workflow_id, initial_state) select $1, $2, $3, jsonb_build_object('kind', $4::text) from generate_series(1, $5::int)`, values: [tenant, user, workflow, kind, size] });
      void claim();
    });
    await done;
    const { rows: [state] } = await pool.query<{ ok: boolean }>(`select count(*) = count(*) filter (where status = 'completed') and (select count(*) from node_executions) = count(*) * ${stepsOf.effect} as ok from executions`);
    if (!state!.ok) throw new Error('not every execution completed');
  }
  return { many, one: (kind) => many(kind, 1), close: () => pool.end() };
}

function columns(steps: Step[]): unknown[] {
  const of = <Key extends keyof Step>(key: Key): Step[Key][] => steps.map((step) => step[key]);
  return [of('executionId'), of('attempt'), of('nodeId'), of('output'), of('sequence'), of('startedAt'), of('completedAt')];
}
