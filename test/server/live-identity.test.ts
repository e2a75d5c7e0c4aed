/** Who listens on a WebSocket is asked for again while the connection lives: what ends an identity ends its subscriptions, and nothing comes after. */
import { type Data, sampleWorkflow, startApi, type TestApi } from '../support/api.ts';
import { openClient, watch } from '../support/subscriptions.ts';

const updated = 'subscription ($id: UUID!) { executionUpdated(id: $id) { execution { id tokensUsed } } }';
let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(async () => {
  await api.server.close(1_000);
  await api.db.drop();
});

const idOf = async (email: string): Promise<string> => (await api.db.owner.query<{ id: string }>('select id from users where email = $1', [email])).rows[0]!.id;

async function watched(caller: string): Promise<{ closed: Promise<{ code: number }>; change(tokens: number): Promise<void>; seen: number[] }> {
  const { executeWorkflow } = await api.data('john', `mutation { executeWorkflow(input: { workflowId: "${sampleWorkflow}", initialState: {} }) { execution { id } } }`);
  const { id } = executeWorkflow.execution as { id: string };
  const connection = openClient(api.url, await api.headersOf(caller));
  const watching = watch(connection, updated, { id });
  await watching.next();
  const seen: number[] = [];
  const follow = async (): Promise<void> => {
    for (let event: Data = await watching.next(); event !== null; event = await watching.next()) seen.push(event.data?.executionUpdated?.execution?.tokensUsed ?? -1);
  };
  follow().catch(() => undefined);
  return {
    closed: connection.closed, seen,
    change: async (tokens) => {
      await api.db.owner.query(`with changed as (update executions set tokens_used = $2 where id = $1 returning tenant_id, id)
        select app_private.notify_executions(array_agg(tenant_id), array_agg(id)) from changed`, [id, tokens]);
    },
  };
}

/** Changes the execution until the connection is gone; the numbers of these changes begin with 1,000. */
async function changesUntilClosed({ closed, change }: Awaited<ReturnType<typeof watched>>): Promise<number> {
  let code: number | null = null;
  void closed.then((event) => { code = event.code; });
  for (let tokens = 1_000; code === null; tokens += 1) {
    await change(tokens);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return code;
}

test.each<[string, string, number, () => Promise<unknown>]>([
  ['a session that is closed', 'operator', 4401, async () => api.db.owner.query(`update app_private.sessions set revoked_at = now() where user_id = $1`, [await idOf('operator@example.com')])],
  ['a user who is disabled', 'developer', 4401, async () => api.db.owner.query(`update users set status = 'inactive' where id = $1`, [await idOf('developer@example.com')])],
  ['a role that changes', 'architect', 1012, async () => api.db.owner.query(`update users set role = 'viewer' where id = $1`, [await idOf('architect@example.com')])],
  ['a key that is revoked', 'key', 4401, () => api.db.owner.query(`update api_keys set status = 'revoked' where status = 'active' and tenant_id = '123e4567-e89b-12d3-a456-426614174000'`)],
  ['a tenant that is suspended', 'jane', 4401, () => api.db.owner.query(`update tenants set status = 'suspended' where id = '123e4567-e89b-12d3-a456-426614174000'`)],
])('%s ends the connection of %s with %i', async (_what, caller, code, end) => {
  const watching = await watched(caller);
  await end();
  expect(await changesUntilClosed(watching)).toBe(code);
  const count = watching.seen.length;
  await watching.change(5_000);
  expect([watching.seen.length, watching.seen.includes(5_000), watching.seen.includes(-1)]).toEqual([count, false, false]);
});
