/** What holds for tenants as a whole: operators look into those that a living grant names, quotas refuse, and what runs in a suspended one is parked. */
import type pg from 'pg';
import { become, probe } from '../sql/support/probe.ts';
import type { Garden } from './plant.ts';
import type { Subject } from './subjects.ts';
import { insertForOther, type Tally } from './walls.ts';

const startsRuns = ['app_public.executions', 'app_public.flow_executions'];
const keepsDocuments = ['app_public.workflow_versions', 'app_public.flow_versions'];

/** `client` acts as agentflow_owner, also afterwards. */
export async function tryTenancy(client: pg.ClientBase, subject: Subject, garden: Garden): Promise<Tally> {
  const tally: Tally = { cases: 0, problems: [] };
  const tell = (what: string, isKept: boolean): void => {
    tally.cases += 1;
    if (!isKept) tally.problems.push(`${subject.name}: ${what}`);
  };
  await client.query('savepoint tenancy');
  await tryOperator(client, subject, garden, tell);
  await client.query('rollback to savepoint tenancy');
  if ([...startsRuns, ...keepsDocuments].includes(subject.name)) await tryQuotas(client, subject, garden, tell);
  await client.query('rollback to savepoint tenancy');
  if (subject.name === 'app_public.tenants') await tryTriggers(client, garden, tell);
  await client.query('rollback to savepoint tenancy');
  return tally;
}

type Tell = (what: string, isKept: boolean) => void;

async function tryOperator(client: pg.ClientBase, { name, tenantColumn }: Subject, { own, other }: Garden, tell: Tell): Promise<void> {
  const { rows: [all] } = await client.query<{ count: number }>(`select count(*)::int as count from ${name} where ${tenantColumn} = $1`, [own.id]);
  const seen = async (tenant: string): Promise<number> => {
    await become(client, 'agentflow_operator', { tenant_id: other.id, user_id: other.users.admin, role: 'admin' });
    const { rows } = await probe(client, `select ${tenantColumn} from ${name} where ${tenantColumn} = $1`, [tenant]);
    await client.query('set local role agentflow_owner');
    return rows;
  };
  tell('an operator without a grant meets rows', await seen(own.id) === 0);
  await client.query(`insert into app_private.operator_grants (tenant_id, operator, reason, granted_by, expires_at) values ($1, session_user, 'tried', 'test', now() + interval '1 hour')`, [own.id]);
  tell('an operator with a grant does not meet all rows', await seen(own.id) === all!.count);
  tell('an operator meets rows of a tenant that no grant names', await seen(other.id) === 0);
  await client.query(`update app_private.operator_grants set created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour'`);
  tell('an operator meets rows after the end of the grant', await seen(own.id) === 0);
  await client.query(`update app_private.operator_grants set expires_at = now() + interval '1 hour', ended_at = now()`);
  tell('an operator meets rows by a grant that was ended', await seen(own.id) === 0);
}

async function tryQuotas(client: pg.ClientBase, subject: Subject, garden: Garden, tell: Tell): Promise<void> {
  const insert = await insertForOther(client, subject, garden);
  for (const quota of startsRuns.includes(subject.name) ? ['executions_per_day', 'concurrent_executions', 'storage_bytes', 'tokens_per_month', 'cost_per_month'] : ['storage_bytes']) {
    await client.query('update app_public.tenants set quotas = jsonb_build_object($2::text, 0) where id = $1', [garden.other.id, quota]);
    await become(client, 'agentflow_owner', { tenant_id: garden.other.id });
    const { rows, refused } = await probe(client, insert.sql, insert.values);
    // Nothing of the kind runs yet in a garden whose executions are over: the row itself must then be one that runs.
    tell(`beyond ${quota} a row met ${refused ?? `${rows} rows`}`, refused === 'AF429' || (quota === 'concurrent_executions' && refused === null));
    await become(client, 'agentflow_owner', {});
  }
}

async function tryTriggers(client: pg.ClientBase, { other }: Garden, tell: Tell): Promise<void> {
  const count = async (sql: string): Promise<number> => (await client.query<{ count: number }>(`select count(*)::int as count from ${sql}`, [other.id])).rows[0]!.count;
  const running = `(select from app_public.executions where tenant_id = $1 and completed_at is null union all select from app_public.flow_executions where tenant_id = $1 and completed_at is null) as run`;
  const parked = 'app_private.execution_leases where tenant_id = $1 and worker_id = app_private.parked()';
  await client.query(`update app_public.tenants set status = 'suspended' where id = $1`, [other.id]);
  const [toPark, isParked] = [await count(running), await count(parked)];
  tell(`${isParked} of ${toPark} executions are parked with their tenant`, toPark > 0 && toPark === isParked);
  await client.query(`update app_public.tenants set status = 'active' where id = $1`, [other.id]);
  tell('executions stay parked in an active tenant', await count(parked) === 0);
  await client.query('insert into app_private.tenant_usages (tenant_id, executions) values ($1, 7)', [other.id]);
  await client.query(`update app_public.tenants set quotas = '{"max_nodes": 9}' where id = $1`, [other.id]);
  tell('what was counted for other quotas is kept', await count('app_private.tenant_usages where tenant_id = $1') === 0);
}
