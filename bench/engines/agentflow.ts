/** AgentFlow: a worker, and a client that starts executions as a signed-in user does, under the policies of the real schema. */
import pg from 'pg';
import { startWorker, type WorkerLog } from '../../src/runtime/index.ts';
import type { JsonObject } from '../../src/engine/types.ts';
import { makeWithCallerClient } from '../../src/store/caller-transactions.ts';
import { flowRunId } from '../../src/store/flow-run-id.ts';
import { eachOf, stepsOf, type Engine, type EngineOptions, type Kind } from './engine.ts';

const startsEach = 500;
const startsAtOnce = 2;
const complain = (details: object, message: string): void => void process.stderr.write(`${message} ${JSON.stringify(details)}\n`);
const quiet: WorkerLog = { debug: () => undefined, info: () => undefined, warn: complain, error: complain };

export async function open({ urls, effectUrl, concurrency = 500 }: EngineOptions): Promise<Engine> {
  const owner = new pg.Pool({ connectionString: urls.agentflow_owner, max: 2 });
  const people = new pg.Pool({ connectionString: urls.agentflow_authenticator, max: startsAtOnce, pipeline: true });
  const { tenantId, userId, workflows } = await plant(owner, effectUrl);
  const worker = await startWorker({
    workerUrl: urls.agentflow_worker, log: quiet,
    config: { workerConcurrency: concurrency, sourceVariables: [], sourceValues: {}, allowHosts: [new URL(effectUrl).host], llmGateway: null, mockLlm: null, testTasks: { pattern: null } },
  });
  const listener = new pg.Client({ connectionString: urls.agentflow_owner });
  await listener.connect();
  await listener.query('listen agentflow');
  const settings = { role: 'agentflow_user', 'jwt.claims.tenant_id': tenantId, 'jwt.claims.user_id': userId, 'jwt.claims.role': 'admin' };
  const withCaller = makeWithCallerClient(people);

  /** As the API does it. */
  const asUser = <Row extends object>(text: string, values: unknown[], name: string): Promise<readonly Row[]> =>
    withCaller(settings, async (client) => (await client.query<Row>({ text, values, name })).rows);

  const tasks = ['one', 'two', 'three'];
  const definition = {
    id: 'bench', name: 'bench', start_task: 'one', tasks: tasks.map((name) => ({ name })),
    conditions: tasks.slice(1).map((to, index) => ({ name: tasks[index]!, source_task: tasks[index]!, outcome: 'success', target_task_success: to, target_task_failure: 'end' })),
  };
  await asUser(`select app_public.create_flow('bench', 'bench', null, 'one', $1) where not exists (select from flows where id = 'bench')`, [JSON.stringify(definition)], 'create flow');

  return {
    async many(kind, count) {
      const { rows: [since] } = await owner.query<{ at: string }>('select clock_timestamp()::text as at');
      await eachOf(Math.ceil(count / startsEach), startsAtOnce, async (batch) => {
        const size = Math.min(startsEach, count - batch * startsEach);
        if (kind === 'flow') await asUser(`select count(*) from app_public.execute_flows_by_priority(array(
          select row('bench', jsonb_build_object('i', i), null, null)::app_public.flow_start_by_priority from generate_series(1, $1::int) as i))`, [size], 'flows');
        else await asUser(`select count(*) from app_public.execute_workflows(array(
          select row($1, jsonb_build_object('user_input', format('execution %s', i)), null, null)::app_public.workflow_start from generate_series(1, $2::int) as i))`, [workflows[kind], size], 'starts');
      });
      const { left, done } = looks[kind === 'flow' ? 'flow' : 'workflow'];
      while ((await owner.query<{ any: boolean }>(left)).rows[0]!.any) await new Promise((resolve) => setTimeout(resolve, 50));
      const { rows: [over] } = await owner.query<{ n: number; steps: number }>(done, [since!.at]);
      if (over!.n !== count || over!.steps !== count * stepsOf[kind]) throw new Error(`${over!.n} of ${count} executions completed, with ${over!.steps} steps`);
    },
    async one(kind) {
      if (kind === 'flow') {
        const [flow] = await asUser<{ id: string }>(`select id::text from app_public.execute_flow('bench', '{}')`, [], 'flow');
        await told(listener, flowRunId(flow!.id), 'select from flow_executions where id = $1 and completed_at is not null', flow!.id);
      } else {
        const [started] = await asUser<{ id: string }>(`select id from app_public.execute_workflow($1, '{"user_input": "one"}')`, [workflows[kind]], 'start');
        await told(listener, started!.id, 'select from executions where id = $1 and completed_at is not null', started!.id);
      }
    },
    async close() {
      await worker.close(5_000);
      await Promise.all([owner.end(), people.end(), listener.end()]);
    },
  };
}

const looks = {
  workflow: {
    left: `select exists (select from executions where status in ('pending', 'running')) as any`,
    done: `select count(*)::int as n, (select count(*)::int from node_executions where execution_created_at >= $1 and status = 'completed') as steps
             from executions where created_at >= $1 and status = 'completed'`,
  },
  flow: {
    left: `select exists (select from flow_executions where status in ('PENDING', 'RUNNING')) as any`,
    done: `select count(*)::int as n, coalesce(sum(total_tasks_executed), 0)::int as steps from flow_executions where created_at >= $1 and status = 'COMPLETED'`,
  },
};

/** By the notification; then the row is read to see what it was. */
async function told(listener: pg.Client, toldAs: string, isOver: string, id: string): Promise<void> {
  for (;;) {
    const heard = Promise.withResolvers<void>();
    const hear = ({ payload = '' }: { payload?: string }): void => {
      if (payload.includes(toldAs)) heard.resolve();
    };
    listener.on('notification', hear);
    const { rowCount } = await listener.query({ name: isOver.slice(0, 30), text: isOver, values: [id] });
    if (rowCount === 0) await heard.promise;
    listener.off('notification', hear);
    if (rowCount === 1) return;
  }
}

type WorkflowKind = Exclude<Kind, 'flow'>;
interface Planted { tenantId: string; userId: string; workflows: Record<WorkflowKind, string> }

async function plant(owner: pg.Pool, effectUrl: string): Promise<Planted> {
  const one = async (text: string, values: unknown[]): Promise<string> => (await owner.query<{ id: string }>(text, values)).rows[0]!.id;
  const tenantId = await one(`insert into tenants (slug, name) values ('bench', 'bench') on conflict (slug) do update set name = excluded.name returning id`, []);
  const userId = await one(`insert into users (tenant_id, email, name, password_hash, role) values ($1, 'bench@example.com', 'bench', 'x', 'admin')
    on conflict (email) do update set name = excluded.name returning id`, [tenantId]);
  const workflow = (kind: WorkflowKind): Promise<string> => one(`insert into workflows (tenant_id, user_id, name, spec, status) values ($1, $2, $3, $4, 'published') returning id`,
    [tenantId, userId, kind, JSON.stringify(specOf(kind, effectUrl))]);
  return { tenantId, userId, workflows: { pure: await workflow('pure'), effect: await workflow('effect') } };
}

/** A chain of five nodes. */
function specOf(kind: WorkflowKind, effectUrl: string): JsonObject {
  const ids = Array.from({ length: stepsOf[kind] }, (_, index) => `step_${index + 1}`);
  const node = (id: string): JsonObject => (kind === 'pure' ? { id, type: 'transform', metadata: { values: { [id]: 'done' }, output_key: id } }
    : { id, type: 'api', metadata: { source: 'server', method: 'GET', path: '/', query: { step: id }, output_key: id } });
  return {
    name: kind, start_node: ids[0]!, nodes: ids.map(node), edges: ids.slice(1).map((to, index) => ({ from: ids[index]!, to })),
    ...(kind === 'pure' ? {} : { sources: [{ id: 'server', kind: 'api', config: { base_url: effectUrl } }] }),
  };
}
