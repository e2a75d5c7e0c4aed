/** Every function that clients may call, with another tenant's ids, unknown ids and own ones: what it answers and what it leaves alone. */
import type pg from 'pg';
import { become } from '../sql/support/probe.ts';
import type { Garden } from './plant.ts';
import { askers, type Tally } from './walls.ts';

interface Routine {
  name: string;
  oid: number;
  arguments: { name: string; type: string }[];
}

const unknown = { uuid: '00000000-0000-4000-8000-ffffffffffff', text: 'no-such-id' };

/** A foreign id must be answered as an unknown one is, and nothing of the other tenant is told or touched. */
export async function tryFunctions(client: pg.ClientBase, garden: Garden): Promise<Tally & { record: Record<string, string> }> {
  const tally: Tally = { cases: 0, problems: [] };
  const record: Record<string, string> = {};
  for (const routine of await publicRoutines(client)) {
    for (const asker of askers(garden).filter(({ role }) => role === 'agentflow_user' || role === 'agentflow_visitor')) {
      const [foreign, missing] = [idsOf(garden), [unknown.uuid]];
      const outcomes = [];
      for (const id of [...foreign, ...missing]) {
        await become(client, asker.role, asker.claims);
        const outcome = await call(client, routine, id);
        await client.query('set local role agentflow_owner');
        tally.cases += 1;
        if ([garden.other.id, garden.other.slug].some((mark) => outcome.told.includes(mark))) tally.problems.push(`${routine.name}, ${asker.who}: told about the other tenant when asked for ${id}`);
        outcomes.push(outcome);
      }
      const told = outcomes.map(({ text }) => text);
      const strange = told.slice(0, -1).find((text) => text !== told.at(-1));
      if (routine.arguments.length > 0 && strange !== undefined) tally.problems.push(`${routine.name}, ${asker.who}: a foreign id is answered otherwise than an unknown one (${strange.slice(0, 120)} / ${told.at(-1)!.slice(0, 120)})`);
      record[`${routine.name}, ${asker.who}`] = outcomes.at(-1)!.code;
    }
  }
  return { ...tally, record };
}

/** With those of `app_private` that have the owner's power and a client may call. Not those of triggers, nor those that tell about the settings of the transaction. */
async function publicRoutines(client: pg.ClientBase): Promise<Routine[]> {
  const { rows } = await client.query<Routine>(`
    select case when p.pronamespace = 'app_public'::regnamespace then p.proname else 'app_private.' || p.proname end as name, p.oid::int as oid,
      coalesce((select json_agg(json_build_object('name', coalesce(p.proargnames[place], ''), 'type', format_type(type, null)) order by place)
        from unnest(p.proargtypes) with ordinality as argument (type, place)), '[]') as arguments
    from pg_proc p
    where p.prorettype <> 'trigger'::regtype and (p.pronamespace = 'app_public'::regnamespace and p.proname !~ '^current_'
      or p.pronamespace = 'app_private'::regnamespace and p.prosecdef and has_function_privilege('agentflow_user', p.oid, 'execute'))
    order by 1`);
  return rows;
}

function idsOf({ other }: Garden): string[] {
  return [other.id, ...Object.values(other.users).slice(-1), other.workflowId, other.versionId, other.executionId, other.sourceId, other.apiKeyId];
}

async function call(client: pg.ClientBase, routine: Routine, id: string): Promise<Answer> {
  const values = routine.arguments.map(({ type }) => valueOf(type, id));
  const parameters = routine.arguments.map(({ type }, index) => `$${index + 1}::${type}`).join(', ');
  await client.query('savepoint before_call');
  const found = await answer(client, `select to_jsonb(f) as answer from ${routine.name.includes('.') ? routine.name : `app_public.${routine.name}`}(${parameters}) f`, values);
  await client.query('rollback to savepoint before_call');
  return { code: found.code, text: found.text.replaceAll(id, 'ID'), told: found.told.replaceAll(id, 'ID') };
}

/** The id that was asked for is taken out: to hear it again tells nothing. */
interface Answer {
  code: string;
  /** What an id that exists elsewhere must share with one that exists nowhere. */
  text: string;
  /** Everything, with the details of an error, which may hold a row that was about to be written. */
  told: string;
}

async function answer(client: pg.ClientBase, sql: string, values: unknown[]): Promise<Answer> {
  try {
    const { rows } = await client.query<{ answer: unknown }>(sql, values);
    return { code: rows.length === 0 || rows.every((row) => row.answer === null) ? 'nothing' : 'rows', text: JSON.stringify(rows), told: JSON.stringify(rows) };
  } catch (error) {
    const { code = 'unknown', message, detail = '' } = error as { code?: string; message: string; detail?: string };
    return { code, text: `${code} ${message}`, told: `${message} ${detail}` };
  }
}

function valueOf(type: string, id: string): unknown {
  if (type === 'uuid') return id;
  if (type === 'jsonb' || type === 'json') return '{}';
  if (type === 'boolean') return true;
  if (/^(integer|bigint|smallint|numeric)/.test(type)) return 1;
  return type === 'text' ? id : null;
}

/** No function with the owner's power but those of `app_public` is there for who is not signed in. Those for who is are tried above. */
export async function tryPower(client: pg.ClientBase): Promise<Tally> {
  const { rows } = await client.query<{ name: string; role: string; may: boolean }>(`
    select p.oid::regprocedure::text as name, role, has_function_privilege(role, p.oid, 'execute') as may
    from pg_proc p cross join unnest(array['agentflow_visitor', 'agentflow_operator']) role
    where p.pronamespace = 'app_private'::regnamespace and p.prosecdef`);
  return { cases: rows.length, problems: rows.filter(({ may }) => may).map(({ name, role }) => `${role} may execute ${name}, which has the owner's power`) };
}

