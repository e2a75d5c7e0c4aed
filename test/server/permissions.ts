/**
 * Every operation of the API, who may call it, and how it is called so that nothing but a right can stand in its way. The rights are those of the
 * documented table of roles and permissions, written down here once more: not asked of the code.
 */
import { randomUUID } from 'node:crypto';
import type { TestApi } from '../support/api.ts';
import { smallestFlow } from '../sql/support/plant.ts';

export const roles = ['viewer', 'operator', 'developer', 'architect', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Right {
  least: Role;
  /** What a key needs in one area; null: never by key. */
  key: { area: string; verbs: readonly string[] } | null;
}

const right = (least: Role, area: string, ...verbs: string[]): Right => ({ least, key: { area, verbs } });

/** `anybody`: visitors too. `anyone signed in`: people and keys. `a person`: by session, never by key. */
export type Needs = Right | 'anybody' | 'anyone signed in' | 'a person';

const readWorkflows = right('viewer', 'workflows', 'read');
const readFlows = right('viewer', 'flows', 'read');
const readExecutions = right('viewer', 'executions', 'read');
const readSources = right('viewer', 'sources', 'read');
const writeWorkflows = right('developer', 'workflows', 'write');
const testWorkflows = right('developer', 'workflows', 'write', 'execute');
const publishWorkflows = right('architect', 'workflows', 'write');
const executeWorkflows = right('operator', 'workflows', 'execute');
const writeFlows = right('developer', 'flows', 'write');
const publishFlows = right('architect', 'flows', 'write');
const executeFlows = right('operator', 'flows', 'execute');
const changeExecutions = right('operator', 'executions', 'execute');
const writeSources = right('architect', 'sources', 'write');
const administer: Right = { least: 'admin', key: null };

export interface Operation {
  needs: Needs;
  /** Its arguments, with an object of its own for each call. */
  arguments(plot: Plot): unknown;
  /** Codes of answers that come only after the right was there. */
  beyond?: readonly string[];
}

/** Rows of the first sample tenant, new ones each time. */
export class Plot {
  readonly #api: TestApi;
  readonly #tenant: string;

  constructor(api: TestApi) {
    this.#api = api;
    this.#tenant = api.db.samples.users[0]!.tenantId;
  }

  get tenant(): string {
    return this.#tenant;
  }

  async #one(sql: string, ...values: unknown[]): Promise<string> {
    const { rows: [row] } = await this.#api.db.owner.query<{ id: string }>(sql, [this.#tenant, ...values]);
    return row!.id;
  }

  user(status = 'active'): Promise<string> {
    return this.#one(`insert into users (tenant_id, email, name, password_hash, role, status) values ($1, $2, 'Somebody', '!', 'viewer', $3) returning id`, `${randomUUID()}@example.com`, status);
  }

  workflow(status = 'draft'): Promise<string> {
    return this.#one(`insert into workflows (tenant_id, user_id, name, spec, status) select $1, user_id, $2, spec, $3 from workflows where id = '660e8400-e29b-41d4-a716-446655440000' returning id`, randomUUID(), status);
  }

  async execution(status: 'pending' | 'failed' = 'pending'): Promise<string> {
    const error = status === 'failed' ? 'it failed' : null;
    return this.#one(`insert into executions (tenant_id, user_id, workflow_id, initial_state, status, error_message, completed_at)
      select $1, user_id, $2::uuid, '{}', $3, $4, case when $4::text is not null then now() end from workflows where id = $2::uuid returning id`, await this.workflow('published'), status, error);
  }

  async approval(): Promise<string> {
    const id = await this.execution();
    await this.#one(`insert into node_executions (tenant_id, execution_id, node_id, execution_created_at, node_type, status, wait_reason, wait_details)
      select $1, id, 'ok', created_at, 'approval', 'waiting', 'approval', '{}' from executions where id = $2 returning execution_id as id`, id);
    return id;
  }

  source(status = 'active'): Promise<string> {
    return this.#one(`insert into sources (tenant_id, user_id, name, kind, config, status) select $1, id, $2, 'llm', '{"model_name": "m"}', $3 from users where tenant_id = $1 and role = 'admin' order by created_at limit 1 returning id`, randomUUID(), status);
  }

  async flow(kind: 'active' | 'inactive' | 'deleted' = 'inactive'): Promise<string> {
    const id = `flow_${randomUUID().replaceAll('-', '')}`;
    await this.#one(`insert into flows (tenant_id, id, name, start_task, definition, is_active) values ($1, $2, $2, 'fetch_data', $3, 0) returning id`, id, { ...smallestFlow(id), start_task: 'fetch_data', tasks: [{ name: 'fetch_data' }] });
    if (kind !== 'inactive') await this.#one(kind === 'active' ? 'update flows set is_active = 1 where tenant_id = $1 and id = $2 returning id' : 'update flows set deleted_at = now() where tenant_id = $1 and id = $2 returning id', id);
    return id;
  }

  async flowExecution(status: 'PENDING' | 'FAILURE' = 'PENDING'): Promise<string> {
    const error = status === 'FAILURE' ? 'it failed' : null;
    return this.#one(`insert into flow_executions (tenant_id, user_id, flow_id, definition, input_context, status, error_message, completed_at)
      select $1, (select id from users where tenant_id = $1 limit 1), id, definition, '{}', $3::app_public.flow_execution_status, $4, case when $4::text is not null then now() end from flows where tenant_id = $1 and id = $2 returning id`, await this.flow('active'), status, error);
  }

  key(): Promise<string> {
    return this.#one(`insert into api_keys (tenant_id, user_id, name, key_hash) select $1, id, 'a key', encode(sha256(convert_to($2, 'UTF8')), 'hex') from users where tenant_id = $1 and role = 'admin' order by created_at limit 1 returning id`, randomUUID());
  }

  link(): Promise<string> {
    return this.#one(`insert into access_links (tenant_id, kind, email, role, token_hash, expires_at) values ($1, 'invitation', $2, 'viewer', $2, now() + interval '1 day') returning id`, `${randomUUID()}@example.com`);
  }

  async budget(): Promise<string> {
    return this.#one('insert into app_private.budgets (tenant_id, api_key_id, monthly_limit) values ($1, $2, 5) returning id', await this.key());
  }

  async secret(): Promise<string> {
    return this.#one(`insert into app_private.secrets (tenant_id, name, sealed) values ($1, 's' || substr($2, 1, 8), 'v1.00000000.x') returning name as id`, randomUUID());
  }

  version(): Promise<string> {
    return this.#one(`select id from workflow_versions where tenant_id = $1 and workflow_id = '660e8400-e29b-41d4-a716-446655440000' order by version limit 1`);
  }

  flowVersion(): Promise<string> {
    return this.#one(`select id from flow_versions where tenant_id = $1 and flow_id = 'data_pipeline' order by version limit 1`);
  }

  async task(): Promise<string> {
    return this.#one(`insert into task_executions (tenant_id, flow_execution_id, task_name, sequence_number) values ($1, $2, 'fetch_data', 1) returning id`, await this.flowExecution());
  }
}

const input = (of: (plot: Plot) => Promise<object> | object) => async (plot: Plot): Promise<object> => ({ input: await of(plot) });
const byId = (of: (plot: Plot) => Promise<string>) => input(async (plot) => ({ id: await of(plot) }));
const document = { nodes: [{ id: 'input', type: 'input' }], start_node: 'input' };

export const mutations: Readonly<Record<string, Operation>> = {
  createWorkflow: { needs: writeWorkflows, arguments: input(() => ({ workflow: { name: randomUUID(), spec: document } })) },
  updateWorkflow: { needs: writeWorkflows, arguments: input(async (plot) => ({ id: await plot.workflow(), patch: { description: 'other' } })) },
  copyWorkflow: { needs: writeWorkflows, arguments: byId((plot) => plot.workflow()) },
  deleteWorkflow: { needs: writeWorkflows, arguments: byId((plot) => plot.workflow()) },
  restoreWorkflowVersion: { needs: writeWorkflows, arguments: input(async (plot) => ({ id: await plot.workflow(), version: 1 })) },
  publishWorkflow: { needs: publishWorkflows, arguments: byId((plot) => plot.workflow()) },
  archiveWorkflow: { needs: publishWorkflows, arguments: byId((plot) => plot.workflow('published')) },
  restoreWorkflow: { needs: publishWorkflows, arguments: byId((plot) => plot.workflow('deleted')) },
  executeWorkflow: { needs: executeWorkflows, arguments: input(async (plot) => ({ workflowId: await plot.workflow('published'), initialState: {} })) },
  'executeWorkflow of a draft': { needs: testWorkflows, arguments: input(async (plot) => ({ workflowId: await plot.workflow(), initialState: {} })) },
  executeWorkflows: { needs: executeWorkflows, arguments: input(async (plot) => ({ inputs: [{ workflowId: await plot.workflow('published'), initialState: {} }] })) },
  testNode: { needs: testWorkflows, arguments: input(async (plot) => ({ workflowId: await plot.workflow(), nodeId: 'input', state: {} })) },
  cancelExecution: { needs: changeExecutions, arguments: byId((plot) => plot.execution()) },
  retryExecution: { needs: changeExecutions, arguments: byId((plot) => plot.execution('failed')) },
  decideApproval: { needs: changeExecutions, arguments: input(async (plot) => ({ executionId: await plot.approval(), nodeId: 'ok', decision: 'approved' })) },
  cancelExecutions: { needs: changeExecutions, arguments: input(async (plot) => ({ filter: { id: { equalTo: await plot.execution() } } })) },
  retryExecutions: { needs: changeExecutions, arguments: input(async (plot) => ({ filter: { id: { equalTo: await plot.execution('failed') } } })) },
  createSource: { needs: writeSources, arguments: input(() => ({ source: { name: randomUUID(), kind: 'LLM', config: { model_name: 'm' } } })) },
  updateSource: { needs: writeSources, arguments: input(async (plot) => ({ id: await plot.source(), patch: { name: randomUUID() } })) },
  deleteSource: { needs: writeSources, arguments: byId((plot) => plot.source()) },
  restoreSource: { needs: writeSources, arguments: byId((plot) => plot.source('deleted')) },
  testSource: { needs: writeSources, arguments: byId((plot) => plot.source()), beyond: ['NOT_SUPPORTED'] },
  createSecret: { needs: writeSources, arguments: input(() => ({ name: `n${randomUUID().slice(0, 8)}`, value: 'a value that nobody guesses' })) },
  deleteSecret: { needs: writeSources, arguments: input(async (plot) => ({ name: await plot.secret() })) },
  createFlow: { needs: writeFlows, arguments: input(() => {
    const id = `flow_${randomUUID().replaceAll('-', '')}`;
    return { flow: { id, name: id, startTask: 'first', definition: smallestFlow(id) } };
  }) },
  updateFlow: { needs: writeFlows, arguments: input(async (plot) => ({ id: await plot.flow(), patch: { description: 'other' } })) },
  deleteFlow: { needs: writeFlows, arguments: byId((plot) => plot.flow()) },
  activateFlow: { needs: publishFlows, arguments: byId((plot) => plot.flow()), beyond: ['INVALID_FLOW'] },
  deactivateFlow: { needs: publishFlows, arguments: byId((plot) => plot.flow('active')) },
  restoreFlow: { needs: publishFlows, arguments: byId((plot) => plot.flow('deleted')) },
  executeFlows: { needs: executeFlows, arguments: input(async (plot) => ({ inputs: [{ flowId: await plot.flow('active'), inputContext: {} }] })) },
  executeFlow: { needs: executeFlows, arguments: input(async (plot) => ({ flowId: await plot.flow('active'), inputContext: {} })) },
  cancelFlowExecution: { needs: changeExecutions, arguments: byId((plot) => plot.flowExecution()) },
  retryFlowExecution: { needs: changeExecutions, arguments: byId((plot) => plot.flowExecution('FAILURE')) },
  createUser: { needs: administer, arguments: input(() => ({ email: `${randomUUID()}@example.com` })) },
  updateUser: { needs: administer, arguments: input(async (plot) => ({ id: await plot.user(), patch: { role: 'OPERATOR' } })) },
  deleteUser: { needs: administer, arguments: byId((plot) => plot.user()) },
  restoreUser: { needs: administer, arguments: byId((plot) => plot.user('deleted')) },
  createPasswordReset: { needs: administer, arguments: input(async (plot) => ({ userId: await plot.user() })) },
  withdrawAccessLink: { needs: administer, arguments: byId((plot) => plot.link()) },
  createApiKey: { needs: administer, arguments: input(() => ({ name: 'k', permissions: { workflows: ['read'] } })) },
  rotateApiKey: { needs: administer, arguments: byId((plot) => plot.key()) },
  revokeApiKey: { needs: administer, arguments: byId((plot) => plot.key()) },
  saveBudget: { needs: administer, arguments: input(async (plot) => ({ apiKeyId: await plot.key(), monthlyLimit: '5' })) },
  deleteBudget: { needs: administer, arguments: byId((plot) => plot.budget()) },
  updateTenant: { needs: administer, arguments: input((plot) => ({ id: plot.tenant, patch: { name: 'Acme' } })) },
  logout: { needs: 'a person', arguments: () => ({}) },
  logoutEverywhere: { needs: 'a person', arguments: () => ({}) },
  changePassword: { needs: 'a person', arguments: input(() => ({ currentPassword: 'not this', newPassword: 'nor that one either' })), beyond: ['INVALID_CREDENTIALS', 'TOO_MANY_ATTEMPTS'] },
  authenticate: { needs: 'anybody', arguments: input(() => ({ email: `${randomUUID()}@example.com`, password: 'x' })), beyond: ['INVALID_CREDENTIALS'] },
  refreshSession: { needs: 'anybody', arguments: input(() => ({ refreshToken: 'x' })), beyond: ['TOKEN_INVALID'] },
  useAccessLink: { needs: 'anybody', arguments: input(() => ({ token: 'x', password: 'x' })), beyond: ['LINK_INVALID'] },
};

const row = (of: (plot: Plot) => Promise<string>) => async (plot: Plot): Promise<object> => ({ id: await of(plot) });
const none = (): object => ({});

/** An answer that holds nothing is a refusal: what one may not see is not there. */
export const queries: Readonly<Record<string, Operation>> = {
  workflow: { needs: readWorkflows, arguments: row((plot) => plot.workflow()) }, workflows: { needs: readWorkflows, arguments: none }, workflowVersion: { needs: readWorkflows, arguments: row((plot) => plot.version()) }, workflowVersions: { needs: readWorkflows, arguments: none },
  searchWorkflows: { needs: readWorkflows, arguments: () => ({ contains: {} }) }, validateWorkflow: { needs: readWorkflows, arguments: () => ({ spec: document }) },
  node: { needs: readWorkflows, arguments: async (plot) => ({ globalId: Buffer.from(JSON.stringify(['Workflow', await plot.workflow()])).toString('base64') }) },
  flow: { needs: readFlows, arguments: row((plot) => plot.flow()) }, flows: { needs: readFlows, arguments: none }, flowVersion: { needs: readFlows, arguments: row((plot) => plot.flowVersion()) }, flowVersions: { needs: readFlows, arguments: none },
  flowTasks: { needs: readFlows, arguments: none }, validateFlow: { needs: readFlows, arguments: () => ({ definition: smallestFlow('x') }) },
  execution: { needs: readExecutions, arguments: row((plot) => plot.execution()) }, executions: { needs: readExecutions, arguments: none }, nodeExecutions: { needs: readExecutions, arguments: none },
  flowExecution: { needs: readExecutions, arguments: row((plot) => plot.flowExecution()) }, flowExecutions: { needs: readExecutions, arguments: none }, taskExecution: { needs: readExecutions, arguments: row((plot) => plot.task()) }, taskExecutions: { needs: readExecutions, arguments: none },
  usage: { needs: readExecutions, arguments: () => ({ from: '2020-01-01T00:00:00Z', to: '2020-02-01T00:00:00Z' }) },
  source: { needs: readSources, arguments: row((plot) => plot.source()) }, sources: { needs: readSources, arguments: none }, searchSources: { needs: readSources, arguments: () => ({ contains: {} }) }, secrets: { needs: readSources, arguments: none },
  apiKey: { needs: administer, arguments: row((plot) => plot.key()) }, apiKeys: { needs: administer, arguments: none }, accessLink: { needs: administer, arguments: row((plot) => plot.link()) }, accessLinks: { needs: administer, arguments: none },
  auditLogs: { needs: administer, arguments: none }, budgets: { needs: administer, arguments: none },
  user: { needs: 'a person', arguments: row((plot) => plot.user()) }, users: { needs: 'anyone signed in', arguments: none }, currentUser: { needs: 'anyone signed in', arguments: none },
  tenant: { needs: 'anyone signed in', arguments: (plot) => ({ id: plot.tenant }) }, tenants: { needs: 'anyone signed in', arguments: none }, globalId: { needs: 'anybody', arguments: none },
};

export const subscriptions: Readonly<Record<string, Operation>> = {
  executionUpdated: { needs: readExecutions, arguments: row((plot) => plot.execution()) },
  flowExecutionUpdated: { needs: readExecutions, arguments: row((plot) => plot.flowExecution()) },
};
