/** What cannot be driven for a reason outside of its nodes is tried a few times, then given up; a retry runs it when the reason is gone. */
import type { Data } from '../support/api.ts';
import { isOver, usePlatform } from '../support/platform.ts';

const platform = usePlatform(() => ({ testTasks: { pattern: null } }));

const spec = { nodes: [{ id: 'input', type: 'input' }], edges: [], start_node: 'input' };
const flow = { id: 'poisoned', name: 'Poisoned', start_task: 'a', tasks: [{ name: 'a' }], conditions: [] };

/** No worker can begin what holds the key `poison`. */
async function poison(): Promise<void> {
  await platform.db.owner.query(`
    create or replace function public.refuse_poison() returns trigger language plpgsql as $$ begin
      if exists (select from app_public.executions where id = new.execution_id and initial_state ? 'poison')
        or exists (select from app_public.flow_executions where app_private.flow_run_id(id) = new.execution_id and input_context ? 'poison') then
        raise exception 'poison in the row';
      end if;
      return new;
    end $$;
    create or replace trigger poison before insert or update on app_private.execution_leases for each row when (new.worker_id is not null) execute function public.refuse_poison();`);
}

const cure = async (): Promise<void> => void await platform.db.owner.query('drop function public.refuse_poison() cascade');

/** Counts of faults; empty until the first. */
async function faults(runId: string): Promise<number[]> {
  const { rows } = await platform.db.owner.query<{ losses: number }>('select losses from app_private.execution_leases where execution_id = $1 and worker_id is null', [runId]);
  return rows.map(({ losses }) => losses);
}

async function untilFaults(runId: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (((await faults(runId))[0] ?? 0) === 0) {
    if (performance.now() > deadline) throw new Error('No fault was recorded.');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

beforeEach(poison);

test('a workflow execution: pauses, a last fault, the failure with its code, and a retry that completes', async () => {
  const id = await platform.execute(await platform.publish(spec), { poison: true });
  await untilFaults(id);
  expect((await platform.db.owner.query('select from graphile_worker.jobs where key = $1 and attempts < max_attempts', [id])).rowCount).toBe(1);
  await platform.db.owner.query('update app_private.execution_leases set losses = 7 where execution_id = $1', [id]);
  const over = await platform.until(id, isOver);
  expect(over).toMatchObject({ status: 'FAILED', errorCode: 'EXECUTION_POISONED', errorMessage: expect.stringContaining('No worker could run') });
  expect(await faults(id)).toEqual([]);

  const found = await platform.data('john', 'query { executions(filter: {errorCode: {equalTo: "EXECUTION_POISONED"}}) { nodes { id } } }');
  expect(found.executions.nodes).toEqual([{ id }]);
  await cure();
  const { retryExecution } = await platform.data('john', 'mutation ($id: UUID!) { retryExecution(input: {id: $id}) { execution { id } } }', { id });
  expect(await platform.until(retryExecution.execution.id, isOver)).toMatchObject({ status: 'COMPLETED', retryOf: { id } });
});

test('a flow execution: the same', async () => {
  await platform.data('john', 'mutation ($flow: FlowInput!) { createFlow(input: {flow: $flow}) { flow { id } } }', { flow: { id: flow.id, name: flow.name, startTask: 'a', definition: flow } });
  const { executeFlow } = await platform.data('john', 'mutation { executeFlow(input: {flowId: "poisoned", inputContext: {poison: true}}) { flowExecution { id } } }');
  const { id } = executeFlow.flowExecution;
  const { rows: [run] } = await platform.db.owner.query<{ id: string }>('select app_private.flow_run_id($1) as id', [id]);
  await untilFaults(run!.id);
  await platform.db.owner.query('update app_private.execution_leases set losses = 7 where execution_id = $1', [run!.id]);
  const untilFailed = async (): Promise<Data> => {
    for (;;) {
      const { flowExecution } = await platform.data('john', 'query ($id: BigInt!) { flowExecution(id: $id) { status errorCode errorMessage totalTasksExecuted completedAt } }', { id });
      if (flowExecution.completedAt !== null) return flowExecution;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  };
  expect(await untilFailed()).toMatchObject({ status: 'FAILURE', errorCode: 'EXECUTION_POISONED', errorMessage: expect.stringContaining('No worker could run'), totalTasksExecuted: 0 });
  await cure();
  const { retryFlowExecution } = await platform.data('john', 'mutation ($id: BigInt!) { retryFlowExecution(input: {id: $id}) { flowExecution { id status } } }', { id });
  expect(retryFlowExecution.flowExecution.id).not.toBe(id);
});

test('the search for orphans gives up what has used up the tries of its job', async () => {
  const id = await platform.execute(await platform.publish(spec), { poison: true });
  await untilFaults(id);
  await platform.db.owner.query(`update graphile_worker._private_jobs set attempts = max_attempts, run_at = now() + interval '1 hour', last_error = 'the job threw' where key = $1`, [id]);
  const { rows } = await platform.db.owner.query<{ count: number }>('select app_private.requeue_orphans() as count');
  expect(rows).toEqual([{ count: 1 }]);
  expect(await platform.until(id, isOver)).toMatchObject({ status: 'FAILED', errorCode: 'EXECUTION_POISONED', errorMessage: expect.stringContaining('No worker could run') });
  expect((await platform.db.owner.query('select from graphile_worker.jobs where key = $1', [id])).rowCount).toBe(0);
  await cure();
});

test('a flow whose task cannot be written down fails, and leaves no task running', async () => {
  await cure();
  await platform.db.owner.query(`alter table task_executions add constraint chk_test check (task_name <> 'late' or status <> 'SUCCESS') not valid`);
  const definition = { id: 'unwritable', name: 'Unwritable', start_task: 'late', tasks: [{ name: 'late' }], conditions: [] };
  await platform.data('john', 'mutation ($flow: FlowInput!) { createFlow(input: {flow: $flow}) { flow { id } } }', { flow: { id: definition.id, name: definition.name, startTask: 'late', definition } });
  const { executeFlow } = await platform.data('john', 'mutation ($context: JSON!) { executeFlow(input: {flowId: "unwritable", inputContext: $context}) { flowExecution { id } } }', { context: { __script: { late: { delay_ms: 1_000 } } } });
  for (let over = false; !over;) {
    const { rows: [row] } = await platform.db.owner.query('select status, error_code, completed_at is not null as over from flow_executions where id = $1', [executeFlow.flowExecution.id]);
    over = row.over;
    if (over) expect(row).toMatchObject({ status: 'FAILURE', error_code: 'INTERNAL' });
    else await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const { rows } = await platform.db.owner.query('select task_name, status, error_code from task_executions where flow_execution_id = $1', [executeFlow.flowExecution.id]);
  expect(rows).toEqual([{ task_name: 'late', status: 'FAILURE', error_code: 'INTERNAL' }]);
});
