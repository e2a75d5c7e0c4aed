import { announceSchema } from '../../src/schema/watch.ts';
import { useApi } from '../support/api.ts';
import { openClient, watch } from '../support/subscriptions.ts';

const api = useApi();
const query = '{ workflows(first: 1) { nodes { name colour } } }';

test('the API shows a changed schema once the DBA\'s tools announce it; what is under way and what cannot be built do no harm', async () => {
  expect((await api.query('john@example.com', query)).errors).toBeDefined();
  const connection = openClient(api.url, await api.headersOf('john@example.com'));
  await expect(watch(connection, query).next()).rejects.toEqual([expect.objectContaining({ message: expect.stringContaining('colour') })]);
  await api.db.owner.query(`alter table app_public.workflows add column colour text default 'red'`);
  await announceSchema(api.db.url('agentflow_owner'));
  let answer = await api.query('john@example.com', query);
  while (answer.errors) answer = await api.query('john@example.com', query);
  expect(answer.data).toEqual({ workflows: { nodes: [{ name: expect.any(String), colour: 'red' }] } });
  expect((await watch(connection, query).next()).data).toEqual(answer.data);
  await connection.client.dispose();

  // An API cannot be made without the table that people sign in by.
  await api.db.owner.query('alter table app_public.users rename to people');
  await announceSchema(api.db.url('agentflow_owner'));
  const failed = (): boolean => api.logged().some(({ msg }) => String(msg).includes('the old one stays'));
  while (!failed()) await new Promise((resolve) => setTimeout(resolve, 20));
  await api.db.owner.query('alter table app_public.people rename to users');
  expect((await api.query('john@example.com', query)).errors).toBeUndefined();
}, 180_000);
