/** Every function that clients may call, with another tenant's ids, unknown ids and own ones: what it answers and what it leaves alone. */
import type pg from 'pg';
import { become } from '../sql/support/probe.ts';
import type { PlantedTenant } from '../sql/support/plant.ts';
import { askers, everybodyOf } from './askers.ts';
import type { Garden } from './plant.ts';
import type { Tally } from './walls.ts';

export interface Routine {
  name: string;
  oid: number;
  arguments: { name: string; type: string }[];
}

const unknown = '00000000-0000-4000-8000-ffffffffffff';

/** A foreign id must be answered as an unknown one is, and nothing of the other tenant is told or touched, whoever asks. `named`: of one function alone. */
export async function tryFunctions(client: pg.ClientBase, garden: Garden, named: string | null): Promise<Tally & { record: Record<string, string> }> {
  const tally: Tally = { cases: 0, problems: [] };
  const record: Record<string, string> = {};
  const marks = await marksOf(client, garden.other.id);
  const people = everybodyOf(garden.own).map(([who, claims]) => ({ who, role: 'agentflow_user', claims, isNamed: false }));
  const strangers = askers(garden).filter(({ role }) => role === 'agentflow_user' || role === 'agentflow_visitor').map((asker) => ({ ...asker, isNamed: true }));
  for (const routine of await publicRoutines(client, named)) {
    const [foreign, own] = [idsOf(garden.other), idsOf(garden.own)];
    const answers: Record<string, string[]> = {};
    for (const { who, role, claims, isNamed } of [...strangers, ...people]) {
      await client.query('savepoint asking');
      await become(client, role, claims);
      const [outcomes, owned] = [await call(client, routine, [...foreign, unknown]), isNamed ? [] : await call(client, routine, own)];
      await client.query('rollback to savepoint asking');
      tally.cases += outcomes.length + owned.length;
      const told = [...outcomes, ...owned].find((outcome) => marks.some((mark) => outcome.told.includes(mark) && !Object.values(claims).includes(mark)));
      if (told !== undefined) tally.problems.push(`${routine.name}, ${who}: told about the other tenant`);
      const last = outcomes.at(-1)!;
      const strange = outcomes.find(({ text }) => text !== last.text);
      if (routine.arguments.length > 0 && strange !== undefined) tally.problems.push(`${routine.name}, ${who}: a foreign id is answered otherwise than an unknown one (${strange.text.slice(0, 120)} / ${last.text.slice(0, 120)})`);
      if (isNamed) record[`${routine.name}, ${who}`] = last.code;
      else (answers[[...new Set(owned.map(({ code }) => code))].sort().join(' or ')] ??= []).push(who);
    }
    record[`${routine.name}, asked for own ids`] = groups(answers);
  }
  return { ...tally, record };
}

/** The largest group goes last and without its names. */
function groups(answers: Record<string, string[]>): string {
  const sorted = Object.entries(answers).sort(([, one], [, other]) => one.length - other.length);
  return sorted.map(([codes, who], index) => `${codes}: ${index < sorted.length - 1 ? who.join(', ') : sorted.length === 1 ? 'everybody' : 'everybody else'}`).join('; ');
}

/** Everything by which the other tenant could be recognised. */
async function marksOf(client: pg.ClientBase, tenant: string): Promise<string[]> {
  const { rows } = await client.query<{ mark: string }>(`
    select slug as mark from app_public.tenants where id = $1 union select id::text from app_public.tenants where id = $1
    union select email from app_public.users where tenant_id = $1 union select id::text from app_public.users where tenant_id = $1
    union select id::text from app_public.workflows where tenant_id = $1 union select id::text from app_public.executions where tenant_id = $1
    union select id::text from app_public.sources where tenant_id = $1 union select id::text from app_public.api_keys where tenant_id = $1`, [tenant]);
  return rows.map(({ mark }) => mark);
}

/** With those of `app_private` that have the owner's power and a client may call. Not those of triggers, nor those that tell about the settings of the transaction. */
export async function publicRoutines(client: pg.ClientBase, named: string | null): Promise<Routine[]> {
  const { rows } = await client.query<Routine>(`
    select case when p.pronamespace = 'app_public'::regnamespace then p.proname else 'app_private.' || p.proname end as name, p.oid::int as oid,
      coalesce((select json_agg(json_build_object('name', coalesce(p.proargnames[place], ''), 'type', format_type(type, null)) order by place)
        from unnest(p.proargtypes) with ordinality as argument (type, place)), '[]') as arguments
    from pg_proc p
    where p.prorettype <> 'trigger'::regtype and (p.pronamespace = 'app_public'::regnamespace and p.proname !~ '^current_'
      or p.pronamespace = 'app_private'::regnamespace and p.prosecdef and has_function_privilege('agentflow_user', p.oid, 'execute'))
    order by 1`);
  return rows.filter(({ name }) => named === null || name === named);
}

export function idsOf(tenant: PlantedTenant): string[] {
  return [tenant.id, tenant.users.admin, tenant.workflowId, tenant.versionId, tenant.executionId, tenant.sourceId, tenant.apiKeyId];
}

/** The id that was asked for is taken out: to hear it again tells nothing. */
export interface Answer {
  code: string;
  /** What an id that exists elsewhere must share with one that exists nowhere. */
  text: string;
  /** Everything, with the details of an error, which may hold a row that was about to be written. */
  told: string;
}

/** Calls it once for each id, as whoever the session is. Each call is taken back. */
export async function call(client: pg.ClientBase, routine: Routine, ids: string[]): Promise<Answer[]> {
  const name = routine.name.includes('.') ? routine.name : `app_public.${routine.name}`;
  const calls = ids.map((id) => `${name}(${routine.arguments.map(({ type }) => literal(client, type, valueOf(type, id))).join(', ')})`);
  const { rows } = await client.query<Answer>('select code, text, told from pg_temp.answers($1)', [calls]);
  return rows.map(({ code, text, told }, index) => (ids[index] === '' ? { code, text, told } : { code, text: text.replaceAll(ids[index]!, 'ID'), told: told.replaceAll(ids[index]!, 'ID') }));
}

function literal(client: pg.ClientBase, type: string, value: unknown): string {
  return `${value === null ? 'null' : (client as pg.Client).escapeLiteral(String(value))}::${type}`;
}

/** Thousands of calls, each in a subtransaction of its own, in one round trip for each routine and asker. `client` is a superuser. */
export async function makeAnswers(client: pg.ClientBase): Promise<void> {
  await client.query(`
    create function pg_temp.answers(calls text[]) returns table (code text, text text, told text) language plpgsql as $$
    declare
      call text;
      found jsonb;
      detail text;
    begin
      foreach call in array calls loop
        begin
          execute 'select coalesce(jsonb_agg(to_jsonb(f)), ''[]'') from ' || call || ' f' into found;
          raise exception using errcode = 'ZZ999', message = 'taken back';
        exception when others then
          get stacked diagnostics code = returned_sqlstate, text = message_text, detail = pg_exception_detail;
          told := text || ' ' || detail;
          text := code || ' ' || text;
          if code = 'ZZ999' then
            code := case when exists (select from jsonb_array_elements(found) as e (value) where e.value <> 'null') then 'rows' else 'nothing' end;
            text := found::text;
            told := text;
          end if;
        end;
        return next;
      end loop;
    end $$`);
}

function valueOf(type: string, id: string): unknown {
  if (type === 'uuid') return id;
  if (type === 'jsonb' || type === 'json') return '{}';
  if (type === 'boolean') return true;
  if (/^(integer|bigint|smallint|numeric)/.test(type)) return 1;
  return type === 'text' ? id : null;
}

/** No function with the owner's power but those of `app_public` is there for who is not signed in, nor for operators but what their policies ask. Those for who is signed in are tried above. */
export async function tryPower(client: pg.ClientBase): Promise<Tally> {
  const { rows } = await client.query<{ name: string; role: string; may: boolean }>(`
    select p.oid::regprocedure::text as name, role, has_function_privilege(role, p.oid, 'execute') as may
    from pg_proc p cross join unnest(array['agentflow_visitor', 'agentflow_operator']) role
    where p.pronamespace = 'app_private'::regnamespace and p.prosecdef
      and not (role = 'agentflow_operator' and exists (select from pg_depend d join pg_policy y on y.oid = d.objid
        where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and y.polroles = array['agentflow_operator'::regrole::oid]))`);
  return { cases: rows.length, problems: rows.filter(({ may }) => may).map(({ name, role }) => `${role} may execute ${name}, which has the owner's power`) };
}

