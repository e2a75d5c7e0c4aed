/** What the API's benchmarks ask: as GraphQL, and as a person would write it in SQL, giving the same JSON. */
import { idOf, type Size } from './big-data.ts';

export interface ApiQuery {
  name: string;
  graphql: string;
  /** One statement that gives one JSON text. `$1` the tenant, in `bare` only; then what `values` gives. */
  sql: { underPolicies: string; bare: string };
  /** Of the n-th request, for a tenant. */
  values(size: Size, tenant: number, n: number): Record<string, unknown>;
  /** Rows that an answer holds, from either side. */
  rows: number;
}

type Where = (alias: string) => string;

/** `where` narrows a table to the tenant: nothing under policies, which do it. */
function sqlOf(make: (where: Where, parameter: (n: number) => string) => string): ApiQuery['sql'] {
  return {
    underPolicies: make((alias) => `${alias}.deleted_at is null`, (n) => `$${n}`),
    bare: make((alias) => `${alias}.tenant_id = $1 and ${alias}.deleted_at is null`, (n) => `$${n + 1}`),
  };
}

export const apiQueries: readonly ApiQuery[] = [
  {
    name: 'workflow by id',
    graphql: 'query ($id: UUID!) { workflow(id: $id) { id name description status version spec createdAt updatedAt } }',
    sql: sqlOf((where, parameter) => `
      select json_build_object('workflow', json_build_object('id', w.id, 'name', w.name, 'description', w.description, 'status', upper(w.status), 'version', w.version, 'spec', w.spec,
          'createdAt', w.created_at, 'updatedAt', w.updated_at))::text as answer
        from app_public.workflows as w where w.id = ${parameter(1)} and ${where('w')}`),
    values: (size, tenant, n) => ({ id: idOf.workflow(tenant, (n * 7) % size.workflows) }),
    rows: 1,
  },
  {
    name: '20 workflows, last 5 executions each, user',
    graphql: `query {
      workflows(first: 20, orderBy: [CREATED_AT_DESC]) { nodes {
        id name status createdAt user { id name email }
        executions(first: 5, orderBy: [CREATED_AT_DESC]) { nodes { id status startedAt completedAt tokensUsed cost } } } } }`,
    sql: sqlOf((where) => `
      select json_build_object('workflows', json_build_object('nodes', coalesce(json_agg(json_build_object('id', w.id, 'name', w.name, 'status', upper(w.status), 'createdAt', w.created_at,
          'user', json_build_object('id', u.id, 'name', u.name, 'email', u.email),
          'executions', json_build_object('nodes', (
            select coalesce(json_agg(json_build_object('id', e.id, 'status', upper(e.status), 'startedAt', e.started_at, 'completedAt', e.completed_at, 'tokensUsed', e.tokens_used, 'cost', e.cost::text)
                order by e.created_at desc, e.id desc), '[]')
              from (select * from app_public.executions as e where e.workflow_id = w.id and e.tenant_id = w.tenant_id and ${where('e')}
                     order by e.created_at desc, e.id desc limit 5) as e))) order by w.created_at desc, w.id desc), '[]')))::text as answer
        from (select * from app_public.workflows as w where ${where('w')} order by w.created_at desc, w.id desc limit 20) as w
        join app_public.users as u on u.tenant_id = w.tenant_id and u.id = w.user_id`),
    values: () => ({}),
    rows: 20,
  },
  {
    name: 'filtered page of 50 with totalCount',
    graphql: `query ($status: ExecutionStatus!) {
      executions(first: 50, filter: { status: { equalTo: $status } }, orderBy: [CREATED_AT_DESC]) {
        totalCount nodes { id status startedAt completedAt tokensUsed cost executionTime errorMessage } } }`,
    sql: sqlOf((where, parameter) => `
      select json_build_object('executions', json_build_object(
          'totalCount', (select count(*) from app_public.executions as e where e.status = lower(${parameter(1)}) and ${where('e')}),
          'nodes', (select coalesce(json_agg(json_build_object('id', e.id, 'status', upper(e.status), 'startedAt', e.started_at, 'completedAt', e.completed_at, 'tokensUsed', e.tokens_used,
              'cost', e.cost::text, 'executionTime', e.execution_time::text, 'errorMessage', e.error_message) order by e.created_at desc, e.id desc), '[]')
            from (select * from app_public.executions as e where e.status = lower(${parameter(1)}) and ${where('e')} order by e.created_at desc, e.id desc limit 50) as e)))::text as answer`),
    values: () => ({ status: 'FAILED' }),
    rows: 50,
  },
];
