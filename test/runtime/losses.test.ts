/** Executions over which workers died: those that may be what kills them run one at a time, and are given up in the end. */
import { lossesOfSuspects, mostLosses } from '../../src/runtime/suspects.ts';
import { isOver, usePlatform } from '../support/platform.ts';

const platform = usePlatform(() => ({ testTasks: { pattern: null } }));

const ask = (id: string): object => ({ id, type: 'llm', metadata: { source: 'm', prompt: id, output_key: id } });
const spec = {
  nodes: [{ id: 'input', type: 'input' }, ask('first'), ask('second')], edges: [{ from: 'input', to: 'first' }, { from: 'first', to: 'second' }],
  queues: [], sources: [{ id: 'm', kind: 'llm', config: { model: 'any' } }], start_node: 'input',
};
const flow = { id: 'lost', name: 'Lost', start_task: 'a', tasks: [{ name: 'a' }], conditions: [] };

/** So many workers have died over what says `losses`, when it is claimed first. */
beforeAll(() => platform.db.owner.query(`
  create function public.lost_before() returns trigger language plpgsql as $$ begin
    new.losses := coalesce(
      (select initial_state ->> 'losses' from app_public.executions where id = new.execution_id),
      (select input_context ->> 'losses' from app_public.flow_executions where app_private.flow_run_id(id) = new.execution_id), '0')::integer;
    return new;
  end $$;
  create trigger lost_before before insert on app_private.execution_leases for each row execute function public.lost_before()`));

test('suspects run one at a time until a node of each has ended, and complete', async () => {
  let [now, most] = [0, 0];
  platform.reply = async ({ prompt }) => {
    if (prompt !== 'first') return 'answer';
    now += 1;
    most = Math.max(most, now);
    await new Promise((resolve) => setTimeout(resolve, 50));
    now -= 1;
    return 'answer';
  };
  const workflow = await platform.publish(spec);
  const ids = await Promise.all([lossesOfSuspects, mostLosses - 1, mostLosses - 1, lossesOfSuspects + 1].map((losses) => platform.execute(workflow, { user_input: 'x', losses })));
  for (const id of ids) expect(await platform.until(id, isOver)).toMatchObject({ status: 'COMPLETED' });
  expect(most).toBe(1);
});

test('what goes on killing as a suspect is given up, a workflow and a flow, and other executions are not', async () => {
  platform.reply = () => 'answer';
  const workflow = await platform.publish(spec);
  const [lost, free] = await Promise.all([mostLosses, 0].map((losses) => platform.execute(workflow, { user_input: 'x', losses })));
  expect(await platform.until(lost!, isOver)).toMatchObject({ status: 'FAILED', errorCode: 'WORKER_LOST', errorMessage: expect.stringContaining(`${mostLosses} worker processes died`) });
  expect(await platform.until(free!, isOver)).toMatchObject({ status: 'COMPLETED' });

  await platform.data('john', 'mutation ($flow: FlowInput!) { createFlow(input: {flow: $flow}) { flow { id } } }', { flow: { id: flow.id, name: flow.name, startTask: 'a', definition: flow } });
  const { executeFlow } = await platform.data('john', `mutation { executeFlow(input: {flowId: "lost", inputContext: {losses: ${mostLosses}}}) { flowExecution { id } } }`);
  for (let over = false; !over; await new Promise((resolve) => setTimeout(resolve, 25))) {
    const { flowExecution } = await platform.data('john', 'query ($id: BigInt!) { flowExecution(id: $id) { status errorCode completedAt } }', executeFlow.flowExecution);
    over = flowExecution.completedAt !== null;
    if (over) expect(flowExecution).toMatchObject({ status: 'FAILURE', errorCode: 'WORKER_LOST' });
  }
});
