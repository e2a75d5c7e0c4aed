/** Rules of the schema, and for each a change that breaks it: a rule that could not notice is no rule. */
import { useTestDatabase } from '../../support/database.ts';
import { lints } from './lints.ts';

const db = useTestDatabase();

/** By the beginning of the rule: statements after which it must name an offender. */
const breaches: Record<string, string> = {
  'row-level security is enabled': 'alter table app_public.workflows no force row level security',
  'every table and partition has the policy': 'drop policy owner_all on app_private.audit_logs_default',
  'policies are for named roles': 'create policy everybody on app_public.workflows for select using (true)',
  'policies that let write': 'create policy writes on app_public.flows for update to agentflow_user using (tenant_id is not null)',
  'policies call settings functions': 'create policy slow on app_public.flows for select to agentflow_user using (tenant_id = app_public.current_tenant_id())',
  'every table of the API has the tenant': 'create table app_public.stray (id uuid primary key)',
  'every table with a tenant has an index': 'create table app_private.stray (tenant_id uuid not null)',
  'references between tables': 'alter table app_public.sources add constraint fk_sources_other foreign key (id) references app_public.workflows (id)',
  'every foreign key has an index': 'drop index app_public.idx_executions_workflow_version_id',
  'functions with the power': 'alter function app_private.end_access() reset all',
  'functions whose text': 'alter function app_private.touch() reset all',
  'no function is executable': 'grant execute on function app_private.touch() to public',
  'everything belongs': 'grant create on schema app_private to agentflow_user; alter function app_private.touch() owner to agentflow_user',
  'app_private gives no right': 'grant select on app_private.sessions to agentflow_user',
  'only agentflow_user has rights': 'grant delete on app_public.workflows to agentflow_user',
  'columns with secrets': 'grant select (password_hash) on app_public.users to agentflow_user',
  'tenant, owner, identity': 'grant update (tenant_id) on app_public.workflows to agentflow_user',
  'every table, column, function': `comment on column app_public.workflows.spec is null`,
  'functions that CHECKs call': 'revoke execute on function app_private.is_metrics(jsonb) from agentflow_user',
};

describe.each(lints)('$rule', ({ rule, sql }) => {
  test('holds', async () => {
    const { rows } = await db.owner.query<{ offender: string }>(sql);
    expect(rows.map(({ offender }) => offender)).toEqual([]);
  });

  test('is noticed when broken', async () => {
    const [, breach] = Object.entries(breaches).find(([start]) => rule.startsWith(start)) ?? [];
    expect(breach).toBeDefined();
    const client = await db.owner.connect();
    try {
      await client.query('begin');
      await client.query(breach!);
      const { rows } = await client.query(sql);
      expect(rows.length).toBeGreaterThan(0);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});
