/** Prices of models: set by the platform's people, named beside them, and counted from their day on. */
import { listPrices, setPrice } from '../../../src/store/prices.ts';
import { runCli } from '../../support/cli.ts';
import { useTestDatabase } from '../../support/database.ts';

const db = useTestDatabase({ samples: true });

const current = async (model: string): Promise<string | undefined> => (
  (await db.owner.query<{ input: string }>('select input_per_million as input from app_private.current_model_prices() where model = $1', [model])).rows[0]?.input);

test('an operator sets a price from a day on; who it was stands beside it', async () => {
  const set = 'select app_public.operator_set_model_price($1, $2, $3, 0, $4::date)';
  await db.asRole('agentflow_operator', {}, (client) => client.query(set, ['house-1', '1.5', '3', null]), { commit: true });
  await db.asRole('agentflow_operator', {}, (client) => client.query(set, ['house-1', '9', '9', '2999-01-01']), { commit: true });
  expect(await current('house-1')).toBe('1.500000');
  const { rows } = await db.asRole('agentflow_operator', {}, (client) => client.query('select valid_from::text, changed_by from app_public.operator_model_prices() where model = $1', ['house-1']));
  expect(rows).toEqual([{ valid_from: '2999-01-01', changed_by: expect.any(String) as string }, { valid_from: expect.any(String) as string, changed_by: expect.any(String) as string }]);
  const { rows: shipped } = await db.owner.query('select changed_by from app_private.model_prices where model = $1', ['gpt-4o']);
  expect(shipped).toEqual([{ changed_by: null }]);
});

test.each(['agentflow_user', 'agentflow_visitor', 'agentflow_worker'] as const)('%s may not', async (role) => {
  await expect(db.asRole(role, { role: 'admin' }, (client) => client.query("select app_public.operator_set_model_price('gpt-4o', 0, 0)"))).rejects.toMatchObject({ code: '42501' });
});

test.each([['', '1', 'model'], ['m', '-1', 'input_per_million'], ['m', 'NaN', 'input_per_million'], ['m', '100000000', 'input_per_million']])('model %j at %s is refused, with its place', async (model, input, field) => {
  const client = await db.owner.connect();
  try {
    await expect(setPrice(client, { model, input, output: '0', image: '0', from: null })).rejects.toMatchObject({ column: field });
  } finally {
    client.release();
  }
});

test('the command line does the same', async () => {
  const env = { DATABASE_URL: db.url('agentflow_owner'), DATABASE_AUTHENTICATOR_URL: db.url('agentflow_authenticator'), DATABASE_WORKER_URL: db.url('agentflow_worker'), JWT_SECRET: db.jwtSecret, AGENTFLOW_SECRET_KEY: db.secretKey };
  const { code, stdout, stderr } = await runCli(['price', 'set', 'house-2', '--input', '2.5', '--output', '10', '--from', '2020-01-01', '--json'], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ model: 'house-2', validFrom: '2020-01-01', inputPerMillion: '2.500000' });
  expect(await current('house-2')).toBe('2.500000');
  const client = await db.owner.connect();
  expect((await listPrices(client)).filter(({ model }) => model === 'house-2')).toHaveLength(1);
  client.release();
  expect((await runCli(['price', 'set', 'house-2', '--input', 'much'], env)).code).toBe(2);
});
