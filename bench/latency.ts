/**
 * The sample workflow ("Customer Support Bot", with the mock model) through the API of one durable `agentflow start`: the time from the
 * mutation to the subscriber's news that it is completed, one at a time; and how many executions a second it completes when many are asked for.
 */
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import pg from 'pg';
import { WebSocket } from 'ws';
import type { ServerFile } from '../src/cli/server-file.ts';
import { ownFolder, residentMb, spawnCommand, untilServing } from './support/own-processes.ts';
import { printJson, printTable } from './support/table.ts';

export const usage = `bench latency [--seconds 10] [--executions 5000] [--json]
  --seconds     how long one after the other is executed
  --executions  how many are asked for at once, 500 a mutation`;

const workflowId = '660e8400-e29b-41d4-a716-446655440000';
const perMutation = 500;
const state = { user_input: 'Where is my order?' };

/** What the answers below hold, by field. */
// oxlint-disable-next-line typescript/no-explicit-any
type Data = any;

interface Results {
  /** One at a time, in milliseconds. */
  runs: number;
  p50: number;
  p99: number;
  executions: number;
  perSecond: number;
  /** Resident megabytes afterwards. */
  memory: number | null;
}

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { seconds: { type: 'string', default: '10' }, executions: { type: 'string', default: '5000' }, json: { type: 'boolean', default: false } } });
  const folder = ownFolder();
  const service = spawnCommand(['start'], folder.dataDir);
  try {
    const file = await untilServing(service, folder.dataDir);
    await service.answer;
    const results = await measure(await signIn(file), Number(options.seconds), Number(options.executions));
    if (options.json) printJson(results);
    else print(results);
  } finally {
    await service.stop();
    folder.remove();
  }
}

interface Caller {
  file: ServerFile;
  authorization: string;
}

async function signIn(file: ServerFile): Promise<Caller> {
  const { email, password } = file.samples!.users[0]!;
  const { authenticate } = await ask({ file, authorization: '' }, 'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { jwt } }', { input: { email, password } });
  return { file, authorization: `Bearer ${authenticate.jwt}` };
}

async function measure(caller: Caller, seconds: number, executions: number): Promise<Results> {
  const times = await oneAtATime(caller, seconds);
  const perSecond = await manyAtOnce(caller, executions);
  const at = (share: number): number => Math.round(times[Math.floor(times.length * share)]! * 10) / 10;
  return { runs: times.length, p50: at(0.5), p99: at(0.99), executions, perSecond, memory: residentMb(caller.file.pid) };
}

/** Milliseconds, sorted. Each execution is subscribed to as soon as its id is known. */
async function oneAtATime(caller: Caller, seconds: number): Promise<number[]> {
  const client = createClient({ url: caller.file.graphqlUrl.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams: { authorization: caller.authorization }, lazy: false });
  const execute = async (): Promise<void> => {
    const { executeWorkflow } = await ask(caller, 'mutation ($id: UUID!, $state: JSON!) { executeWorkflow(input: { workflowId: $id, initialState: $state }) { execution { id } } }', { id: workflowId, state });
    let status = '';
    for await (const { data, errors } of client.iterate<Record<string, Data>>({ query: 'subscription ($id: UUID!) { executionUpdated(id: $id) { execution { status } } }', variables: { id: executeWorkflow.execution.id } })) {
      if (errors) throw new Error(JSON.stringify(errors));
      status = data!.executionUpdated.execution.status;
    }
    if (status !== 'COMPLETED') throw new Error(`An execution ended as ${status}`);
  };
  for (let i = 0; i < 50; i += 1) await execute();
  const times: number[] = [];
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    const started = performance.now();
    await execute();
    times.push(performance.now() - started);
  }
  await client.dispose();
  return times.toSorted((a, b) => a - b);
}

/** Completed executions a second, from the first mutation to the last completion. */
async function manyAtOnce(caller: Caller, count: number): Promise<number> {
  const database = new pg.Client({ connectionString: caller.file.databaseUrl });
  await database.connect();
  const before = await completed(database);
  const started = performance.now();
  const inputs = Array.from({ length: perMutation }, () => ({ workflowId, initialState: state }));
  for (let asked = 0; asked < count; asked += perMutation) {
    await ask(caller, 'mutation ($inputs: [WorkflowStartInput]!) { executeWorkflows(input: { inputs: $inputs }) { clientMutationId } }', { inputs: inputs.slice(0, count - asked) });
  }
  while (await completed(database) < before + count) await new Promise((resolve) => setTimeout(resolve, 10));
  const perSecond = Math.round(count / ((performance.now() - started) / 1_000));
  await database.end();
  return perSecond;
}

async function completed(database: pg.Client): Promise<number> {
  const { rows: [row] } = await database.query<{ count: number }>(`select count(*)::int as count from app_public.executions where status = 'completed'`);
  return row!.count;
}

async function ask({ file, authorization }: Caller, query: string, variables: object): Promise<Data> {
  const response = await fetch(file.graphqlUrl, { method: 'POST', headers: { 'content-type': 'application/json', ...(authorization === '' ? null : { authorization }) }, body: JSON.stringify({ query, variables }) });
  const { data, errors } = await response.json() as { data: Data; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

function print({ runs, p50, p99, executions, perSecond, memory }: Results): void {
  printTable([
    { what: 'from mutation to completed, one at a time', figure: `p50 ${p50} ms, p99 ${p99} ms`, of: `${runs} executions` },
    { what: 'executions a second, all asked for at once', figure: `${perSecond}/s`, of: `${executions} executions` },
    { what: 'memory of the process afterwards', figure: `${memory ?? '-'} MB`, of: '' },
  ]);
}
