/** A suspended tenant: everybody of it is refused, what runs is parked and goes on afterwards, and the other tenant notices nothing. */
import { codesOf } from '../support/api.ts';
import { isOver, nodeOf, usePlatform } from '../support/platform.ts';

const platform = usePlatform();
const setStatus = (status: string): Promise<unknown> => platform.db.owner.query(`update tenants set status = $1 where id = '123e4567-e89b-12d3-a456-426614174000'`, [status]);
const rowsOf = async <T>(sql: string, values: unknown[] = []): Promise<T[]> => (await platform.db.owner.query(sql, values)).rows as T[];

const spec = {
  nodes: [
    { id: 'input', type: 'input' },
    { id: 'first', type: 'llm', metadata: { source: 'm', prompt: 'first {user_input}' } },
    { id: 'second', type: 'llm', metadata: { source: 'm', prompt: 'second {user_input}', output_key: 'second' } },
  ],
  edges: [{ from: 'input', to: 'first' }, { from: 'first', to: 'second' }],
  sources: [{ id: 'm', kind: 'llm', config: { model_name: 'gpt-4' } }],
  start_node: 'input',
};
const approval = {
  nodes: [{ id: 'input', type: 'input' }, { id: 'ok', type: 'approval', metadata: { message: 'ok?' } }],
  edges: [{ from: 'input', to: 'ok' }],
  start_node: 'input',
};

test('what runs is parked and goes on where it was', async () => {
  const prompts: string[] = [];
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<string>();
  platform.reply = ({ prompt }) => {
    prompts.push(prompt);
    if (!prompt.startsWith('second') || prompts.filter((one) => one === prompt).length > 1) return 'answered';
    asked.resolve();
    return answer.promise;
  };
  const running = await platform.execute(await platform.publish(spec), { user_input: 'x' });
  const waiting = await platform.execute(await platform.publish(approval), { user_input: 'x' });
  await platform.until(waiting, (execution) => nodeOf(execution, 'ok')?.status === 'WAITING');
  await asked.promise;

  await setStatus('suspended');
  answer.resolve('too late');
  const answered = await platform.query('john', '{ currentUser { email } }');
  expect(codesOf(answered)).toEqual(['TOKEN_INVALID']);
  expect(await rowsOf(`select distinct worker_id from app_private.execution_leases where execution_id = any ($1)`, [[running, waiting]])).toEqual([{ worker_id: '00000000-0000-0000-0000-000000000000' }]);
  await platform.db.owner.query('select app_private.enqueue_executions($1::uuid[])', [[running, waiting]]); // a job that comes meanwhile does nothing
  const jobs = async (): Promise<number> => (await rowsOf(`select from graphile_worker.jobs where key = any ($1)`, [[running, waiting]])).length;
  while (await jobs() > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(await rowsOf('select from executions where id = any ($1) and completed_at is null', [[running, waiting]])).toHaveLength(2);

  await setStatus('active');
  const over = await platform.until(running, isOver);
  expect(over).toMatchObject({ status: 'COMPLETED', finalState: { second: 'answered' } });
  expect(prompts.filter((prompt) => prompt === 'first x')).toHaveLength(1);
  await platform.data('john', 'mutation ($id: UUID!) { decideApproval(input: {executionId: $id, nodeId: "ok", decision: "approved"}) { execution { id } } }', { id: waiting });
  expect(await platform.until(waiting, isOver)).toMatchObject({ status: 'COMPLETED' });
}, 180_000);

test('a claim that was under way is caught by the next sweep', async () => {
  platform.reply = () => 'answered';
  const waiting = await platform.execute(await platform.publish(approval), { user_input: 'x' });
  await platform.until(waiting, (execution) => nodeOf(execution, 'ok')?.status === 'WAITING');
  await setStatus('suspended');
  await platform.db.owner.query('update app_private.execution_leases set worker_id = null where execution_id = $1', [waiting]);
  await platform.db.owner.query('select app_private.park_suspended()');
  expect(await rowsOf('select worker_id from app_private.execution_leases where execution_id = $1', [waiting])).toEqual([{ worker_id: '00000000-0000-0000-0000-000000000000' }]);
  await setStatus('active');
  expect(await platform.until(waiting, (execution) => nodeOf(execution, 'ok')?.status === 'WAITING')).toMatchObject({ status: 'RUNNING' });
});
