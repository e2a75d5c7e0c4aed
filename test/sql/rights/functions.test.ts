/** Who may execute what. */
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase();

async function executableBy(role: string): Promise<string[]> {
  const { rows } = await db.owner.query<{ name: string }>(`
    select pronamespace::regnamespace || '.' || proname as name from pg_proc
    where pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
      and has_schema_privilege($1, pronamespace, 'usage') and has_function_privilege($1, oid, 'execute') order by 1`, [role]);
  return rows.map(({ name }) => name);
}

test('who is not signed in may ask who he is, and nothing else', async () => {
  expect(await executableBy('agentflow_visitor')).toEqual(['app_public.signed_in_user']);
});

test("the platform's people may do the few things that a grant lets them do", async () => {
  expect(await executableBy('agentflow_operator')).toEqual(['app_public.operator_cancel_execution', 'app_public.operator_model_prices', 'app_public.operator_set_model_price', 'app_public.operator_set_tenant_status']);
});

test('the login of the API may find out who signs in and count requests, and nothing else', async () => {
  expect(await executableBy('agentflow_authenticator')).toEqual([
    'app_private.begin_password_change', 'app_private.begin_sign_in', 'app_private.change_password', 'app_private.close_session', 'app_private.close_sessions', 'app_private.demand_session', 'app_private.find_access_link',
    'app_private.identify_api_key', 'app_private.identify_session', 'app_private.note_refusal', 'app_private.open_provider_session', 'app_private.open_session', 'app_private.operating_figures', 'app_private.refresh_session', 'app_private.refuse_sign_in', 'app_private.rehash_api_key', 'app_private.schema_state',
    'app_private.take_requests', 'app_private.use_access_link',
  ]);
});

test('the worker may call functions of the engine and of maintenance, none of the API', async () => {
  const names = await executableBy('agentflow_worker');
  expect(names).toEqual(expect.arrayContaining(['app_private.claim_executions', 'app_private.finish_executions', 'app_private.ensure_partitions', 'app_private.drop_partitions']));
  expect(names.filter((name) => name.startsWith('app_public.'))).toEqual([]);
});

test('in app_private, signed-in people may execute only what policies, CHECKs and triggers call', async () => {
  expect((await executableBy('agentflow_user')).filter((name) => name.startsWith('app_private.'))).toEqual([
    'app_private.acts_by_key', 'app_private.current_api_key_id', 'app_private.current_permissions', 'app_private.demand', 'app_private.fail', 'app_private.has_inline_secret', 'app_private.has_secret_text', 'app_private.is_json_object',
    'app_private.is_metrics', 'app_private.is_permissions', 'app_private.is_quotas', 'app_private.is_secret_text', 'app_private.key_may', 'app_private.key_permission', 'app_private.least_role', 'app_private.may',
    'app_private.may_restore', 'app_private.registered_errors', 'app_private.role_rank', 'app_private.roles_with', 'app_private.tenant_if_may',
  ]);
});

test('no function of app_private lends signed-in people the power of the owner', async () => {
  const { rows } = await db.owner.query<{ name: string }>(`
    select oid::regprocedure::text as name from pg_proc
    where pronamespace = 'app_private'::regnamespace and prosecdef and has_function_privilege('agentflow_user', oid, 'execute')`);
  expect(rows).toEqual([]);
});
