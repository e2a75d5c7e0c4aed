/**
 * What the two schema documents ask for, written down by hand: every column with type, default and nullability, every
 * index and every constraint by name. `!` after a type: not null.
 */
export interface ExpectedTable {
  columns: Record<string, string>;
  /** Column to default, as PostgreSQL prints it. A column that is not here has none. */
  defaults: Record<string, string>;
  /** Name to what follows USING in the definition. */
  indexes: Record<string, string>;
  foreignKeys: Record<string, { columns: string[]; references: string; onDelete: 'cascade' | 'set null' }>;
  /** Name to the allowed values of the column. */
  checks: Record<string, { column: string; values: string[] }>;
}

const id = { id: 'uuid!' };
const timestamps = { created_at: 'timestamp with time zone!', updated_at: 'timestamp with time zone!' };
const softDeletion = { deleted_at: 'timestamp with time zone' };
const actors = { created_by: 'uuid', updated_by: 'uuid', deleted_by: 'uuid' };
const uuidDefault = { id: 'gen_random_uuid()' };
const now = { created_at: 'now()', updated_at: 'now()' };
const ofUser = { columns: ['user_id'], references: 'users', onDelete: 'cascade' as const };

export const seedSchema: Record<string, ExpectedTable> = {
  users: {
    columns: { ...id, email: 'character varying(255)!', name: 'character varying(255)!', password_hash: 'character varying(255)!', tenant_id: 'uuid!', status: 'character varying(50)!', ...timestamps, ...softDeletion, ...actors },
    defaults: { ...uuidDefault, status: "'active'", ...now },
    indexes: { idx_users_email: 'btree (email)', idx_users_tenant_id: 'btree (tenant_id)', idx_users_status: 'btree (status)' },
    foreignKeys: {},
    checks: { chk_users_status: { column: 'status', values: ['active', 'inactive', 'deleted'] } },
  },
  workflows: {
    columns: { ...id, name: 'character varying(255)!', description: 'text', spec: 'jsonb!', user_id: 'uuid!', tenant_id: 'uuid!', status: 'character varying(50)!', version: 'integer!', ...timestamps, ...softDeletion, ...actors },
    defaults: { ...uuidDefault, status: "'draft'", version: '1', ...now },
    indexes: {
      idx_workflows_user_id: 'btree (user_id)', idx_workflows_tenant_id: 'btree (tenant_id)', idx_workflows_status: 'btree (status)',
      idx_workflows_created_at: 'btree (created_at DESC)', idx_workflows_spec_gin: 'gin (spec)',
    },
    foreignKeys: { fk_workflows_user_id: ofUser },
    checks: { chk_workflows_status: { column: 'status', values: ['draft', 'published', 'archived', 'deleted'] } },
  },
  executions: {
    columns: {
      ...id, workflow_id: 'uuid!', user_id: 'uuid!', tenant_id: 'uuid!', status: 'character varying(50)!', initial_state: 'jsonb!', final_state: 'jsonb', error_message: 'text',
      metrics: 'jsonb', tokens_used: 'integer', cost: 'numeric(10,4)', execution_time: 'numeric(10,3)', started_at: 'timestamp with time zone!', completed_at: 'timestamp with time zone', ...timestamps,
    },
    defaults: { ...uuidDefault, status: "'pending'", tokens_used: '0', cost: '0', started_at: 'now()', ...now },
    indexes: {
      idx_executions_workflow_id: 'btree (workflow_id)', idx_executions_user_id: 'btree (user_id)', idx_executions_tenant_id: 'btree (tenant_id)', idx_executions_status: 'btree (status)',
      idx_executions_started_at: 'btree (started_at DESC)', idx_executions_completed_at: 'btree (completed_at DESC NULLS LAST)',
    },
    foreignKeys: { fk_executions_workflow_id: { columns: ['workflow_id'], references: 'workflows', onDelete: 'cascade' }, fk_executions_user_id: ofUser },
    checks: { chk_executions_status: { column: 'status', values: ['pending', 'running', 'completed', 'failed', 'cancelled'] } },
  },
  sources: {
    columns: { ...id, name: 'character varying(255)!', kind: 'character varying(50)!', config: 'jsonb!', user_id: 'uuid!', tenant_id: 'uuid!', status: 'character varying(50)!', ...timestamps, ...softDeletion, ...actors },
    defaults: { ...uuidDefault, status: "'active'", ...now },
    indexes: {
      idx_sources_user_id: 'btree (user_id)', idx_sources_tenant_id: 'btree (tenant_id)', idx_sources_kind: 'btree (kind)', idx_sources_status: 'btree (status)', idx_sources_config_gin: 'gin (config)',
    },
    foreignKeys: { fk_sources_user_id: ofUser },
    checks: {
      chk_sources_kind: { column: 'kind', values: ['llm', 'image', 'db', 'api'] },
      chk_sources_status: { column: 'status', values: ['active', 'inactive', 'deleted'] },
    },
  },
  api_keys: {
    columns: {
      ...id, user_id: 'uuid!', tenant_id: 'uuid!', name: 'character varying(255)!', key_hash: 'character varying(255)!', permissions: 'jsonb', status: 'character varying(50)!',
      last_used_at: 'timestamp with time zone', expires_at: 'timestamp with time zone', ...timestamps, ...softDeletion, created_by: 'uuid', deleted_by: 'uuid',
    },
    defaults: { ...uuidDefault, status: "'active'", ...now },
    indexes: {
      idx_api_keys_user_id: 'btree (user_id)', idx_api_keys_tenant_id: 'btree (tenant_id)', idx_api_keys_key_hash: 'btree (key_hash)', idx_api_keys_status: 'btree (status)', idx_api_keys_expires_at: 'btree (expires_at)',
    },
    foreignKeys: { fk_api_keys_user_id: ofUser },
    checks: { chk_api_keys_status: { column: 'status', values: ['active', 'revoked', 'expired'] } },
  },
  audit_logs: {
    columns: {
      ...id, user_id: 'uuid', tenant_id: 'uuid!', action: 'character varying(100)!', entity_type: 'character varying(100)!', entity_id: 'uuid', old_value: 'jsonb', new_value: 'jsonb',
      ip_address: 'inet', user_agent: 'text', created_at: 'timestamp with time zone!',
    },
    defaults: { ...uuidDefault, created_at: 'now()' },
    indexes: {
      idx_audit_logs_user_id: 'btree (user_id)', idx_audit_logs_tenant_id: 'btree (tenant_id)', idx_audit_logs_action: 'btree (action)',
      idx_audit_logs_entity_type: 'btree (entity_type)', idx_audit_logs_entity_id: 'btree (entity_id)', idx_audit_logs_created_at: 'btree (created_at DESC)',
    },
    foreignKeys: { fk_audit_logs_user_id: { ...ofUser, onDelete: 'set null' } },
    checks: {},
  },
  flows: {
    columns: {
      id: 'character varying(100)!', name: 'character varying(255)!', description: 'text', start_task: 'character varying(100)!', definition: 'jsonb!', is_active: 'integer!', version: 'integer!', ...timestamps,
    },
    defaults: { is_active: '1', version: '1', ...now },
    indexes: { idx_flows_name: 'btree (name)' },
    foreignKeys: {},
    checks: {},
  },
  flow_executions: {
    columns: {
      id: 'bigint!', flow_id: 'character varying(100)!', status: 'app_public.flow_execution_status!', input_context: 'jsonb', output_data: 'jsonb', error_message: 'text',
      error_task: 'character varying(100)', total_tasks_executed: 'integer!', started_at: 'timestamp with time zone!', completed_at: 'timestamp with time zone',
    },
    defaults: { status: "'PENDING'", total_tasks_executed: '0', started_at: 'now()' },
    indexes: { idx_flow_executions_flow_id: 'btree (flow_id)', idx_flow_executions_status: 'btree (status)', idx_flow_executions_started_at: 'btree (started_at)' },
    foreignKeys: { fk_flow_executions_flow_id: { columns: ['flow_id'], references: 'flows', onDelete: 'cascade' } },
    checks: {},
  },
  task_executions: {
    columns: {
      id: 'bigint!', flow_execution_id: 'bigint!', task_name: 'character varying(100)!', task_description: 'character varying(500)', sequence_number: 'integer!',
      status: 'app_public.task_execution_status!', input_data: 'jsonb', output_data: 'jsonb', error_message: 'text', error_traceback: 'text',
      started_at: 'timestamp with time zone!', completed_at: 'timestamp with time zone',
    },
    defaults: { status: "'PENDING'", started_at: 'now()' },
    indexes: {
      idx_task_executions_flow_execution_id: 'btree (flow_execution_id)', idx_task_executions_task_name: 'btree (task_name)', idx_task_executions_status: 'btree (status)',
    },
    foreignKeys: { fk_task_executions_flow_execution_id: { columns: ['flow_execution_id'], references: 'flow_executions', onDelete: 'cascade' } },
    checks: {},
  },
};

export const seedEnums: Record<string, string[]> = {
  flow_execution_status: ['PENDING', 'RUNNING', 'SUCCESS', 'FAILURE', 'COMPLETED'],
  task_execution_status: ['PENDING', 'RUNNING', 'SUCCESS', 'FAILURE'],
};

/** Columns that are the primary key; the seed's is `id`, with the deviations that the decisions name. */
export const primaryKeys: Record<string, string[]> = {
  users: ['id'], workflows: ['id'], executions: ['id'], sources: ['id'], api_keys: ['id'],
  audit_logs: ['id', 'created_at'], flows: ['tenant_id', 'id'], flow_executions: ['id'], task_executions: ['id'],
};
export const uniqueByTheSeed: Record<string, string> = { idx_users_email: 'email', idx_api_keys_key_hash: 'key_hash' };
