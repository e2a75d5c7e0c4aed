/**
 * Many tenants with a long history, made by the server itself. Triggers, foreign keys and secondary indexes are put aside while rows are
 * made (as `pg_restore` does), so ten million rows take minutes; checks hold. Everything that is written follows from row numbers.
 */
import pg from 'pg';
import type { EmbeddedPostgres } from '../../src/embedded/index.ts';

export interface Size {
  tenants: number;
  /** Of each tenant. */
  users: number;
  workflows: number;
  /** Of all tenants. */
  executions: number;
}

const chunk = 250_000;

/** Ids by number, from 0; the same in every data set. */
export const idOf = {
  tenant: (tenant: number): string => uuidOf('a', tenant, 0),
  user: (tenant: number, user: number): string => uuidOf('b', tenant, user),
  workflow: (tenant: number, workflow: number): string => uuidOf('c', tenant, workflow),
  session: (tenant: number): string => uuidOf('e', tenant, 0),
};

function uuidOf(kind: string, tenant: number, part: number): string {
  return `${kind}0000000-0000-4000-8000-${tenant.toString(16).padStart(6, '0')}${part.toString(16).padStart(6, '0')}`;
}

function uuidSql(kind: string, tenant: string, part: string): string {
  return `('${kind}0000000-0000-4000-8000-' || lpad(to_hex(${tenant}), 6, '0') || lpad(to_hex(${part}), 6, '0'))::uuid`;
}

/** What a small real workflow looks like. */
const spec = {
  nodes: [
    { id: 'input', type: 'input', params: { schema: { query: 'string' } } },
    { id: 'classify', type: 'router', params: { routes: [{ condition: "state.query.contains('invoice')", target: 'billing' }], default: 'support' } },
    { id: 'billing', type: 'llm', params: { source: 'gpt', prompt: 'Answer as the billing team: {{ state.query }}', temperature: 0.2 } },
    { id: 'support', type: 'llm', params: { source: 'gpt', prompt: 'Answer as the support team: {{ state.query }}', temperature: 0.4 } },
    { id: 'answer', type: 'aggregator', params: { inputs: ['billing', 'support'], strategy: 'first' } },
  ],
  edges: [{ from: 'input', to: 'classify' }, { from: 'billing', to: 'answer' }, { from: 'support', to: 'answer' }],
  queues: [],
  start_node: 'input',
};

/** `present`: how many executions of the same tenants an earlier call has loaded. */
export async function loadBigData(embedded: Pick<EmbeddedPostgres, 'url'>, size: Size, say: (line: string) => void, present = 0): Promise<void> {
  const client = new pg.Client({ connectionString: embedded.url('postgres') });
  await client.connect();
  try {
    await client.query(`set session_replication_role = replica; set synchronous_commit = off; set maintenance_work_mem = '512MB'; set search_path = app_public`);
    if (present === 0) await loadTenants(client, size);
    const indexes = await dropIndexes(client, 'app_public.executions');
    for (let from = present; from < size.executions; from += chunk) {
      await loadExecutions(client, size, from, Math.min(from + chunk, size.executions));
      say(`${Math.min(from + chunk, size.executions).toLocaleString('en')} executions`);
    }
    for (const definition of indexes) {
      say(`makes ${/INDEX (\S+)/i.exec(definition)?.[1] ?? 'an index'} again`);
      await client.query(definition);
    }
    await client.query('vacuum (analyze) app_public.tenants, app_public.users, app_public.workflows, app_public.workflow_versions, app_public.executions, app_private.sessions');
    await client.query('checkpoint');
  } finally {
    await client.end();
  }
}

async function loadTenants(client: pg.Client, { tenants, users, workflows }: Size): Promise<void> {
  const document = client.escapeLiteral(JSON.stringify(spec));
  const eachTenant = `generate_series(0, ${tenants - 1}) as t`;
  await client.query(`insert into tenants (id, slug, name) select ${uuidSql('a', 't', '0')}, 'tenant-' || t, 'Tenant ' || t from ${eachTenant}`);
  await client.query(`
    insert into users (id, email, name, password_hash, tenant_id, role)
    select ${uuidSql('b', 't', 'u')}, 'user' || u || '@tenant' || t || '.example', 'User ' || u, 'none', ${uuidSql('a', 't', '0')}, case u when 0 then 'admin' else 'developer' end
      from ${eachTenant}, generate_series(0, ${users - 1}) as u`);
  await client.query(`
    insert into workflows (id, name, description, spec, user_id, tenant_id, status, created_at)
    select ${uuidSql('c', 't', 'w')}, 'Workflow ' || w, 'Answers what customers of tenant ' || t || ' write', ${document}, ${uuidSql('b', 't', `w % ${users}`)}, ${uuidSql('a', 't', '0')},
        case when w % 5 = 0 then 'draft' else 'published' end, now() - interval '100 days' + w * interval '10 minutes'
      from ${eachTenant}, generate_series(0, ${workflows - 1}) as w`);
  await client.query(`
    insert into workflow_versions (id, workflow_id, tenant_id, version, spec)
    select ${uuidSql('d', 't', 'w')}, ${uuidSql('c', 't', 'w')}, ${uuidSql('a', 't', '0')}, 1, ${document} from ${eachTenant}, generate_series(0, ${workflows - 1}) as w`);
  await client.query(`
    insert into app_private.sessions (id, user_id, tenant_id, expires_at)
    select ${uuidSql('e', 't', '0')}, ${uuidSql('b', 't', '0')}, ${uuidSql('a', 't', '0')}, now() + interval '10 years' from ${eachTenant}`);
}

/** In the order of time, tenants and workflows mixed as they come in life. */
async function loadExecutions(client: pg.Client, { tenants, users, workflows, executions }: Size, from: number, to: number): Promise<void> {
  await client.query(`
    insert into executions (id, workflow_id, user_id, tenant_id, status, initial_state, final_state, metrics, tokens_used, cost, execution_time,
      started_at, completed_at, created_at, updated_at, workflow_version_id, error_message, error_code)
    select gen_random_uuid(), ${uuidSql('c', 't', 'w')}, ${uuidSql('b', 't', `w % ${users}`)}, ${uuidSql('a', 't', '0')}, status,
        jsonb_build_object('query', 'Where is my order ' || n || '?'),
        case status when 'completed' then jsonb_build_object('query', 'Where is my order ' || n || '?', 'answer', 'It is on its way and arrives in ' || n % 7 || ' days.') end,
        '{"nodes_completed": 4, "nodes_failed": 0}', n % 900, (n % 100) / 1000.0, (n % 5000) / 1000.0,
        at, at + interval '3 seconds', at, at + interval '3 seconds', ${uuidSql('d', 't', 'w')},
        case status when 'failed' then 'The model did not answer.' end, case status when 'failed' then 'SOURCE_UNAVAILABLE' end
      from generate_series(${from}, ${to - 1}) as n,
        lateral (select abs(hashint4(n)) % ${tenants} as t, abs(hashint4(n + 17)) % ${workflows} as w,
          now() - interval '90 days' + n * (interval '90 days' / ${executions}) as at,
          case when n % 50 = 0 then 'cancelled' when n % 6 = 0 then 'failed' else 'completed' end as status) as made`);
}

/** Returns the statements that make them again. Those of constraints stay. */
async function dropIndexes(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(`
    select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition from pg_index
     where indrelid = $1::regclass and not exists (select from pg_constraint where conindid = indexrelid)`, [table]);
  for (const { name } of rows) await client.query(`drop index ${name}`);
  return rows.map(({ definition }) => definition);
}
