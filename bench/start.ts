/**
 * How long a start takes, from the command to the first answered query (signed by the sample API key, of rows under row-level security) and
 * to /readyz, on an empty folder and on one with data; and what `server` and `worker` need of memory as processes of their own.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { ServerFile } from '../src/cli/server-file.ts';
import { ownFolder, residentMb, spawnCommand, untilServing } from './support/own-processes.ts';
import { median } from './support/requests.ts';
import { printJson, printTable } from './support/table.ts';

export const usage = `bench start [--runs 5] [--npm] [--json]
  --npm   by "npm start" in place of "node bin/agentflow.mjs start": npm itself takes a quarter of a second`;

interface StartTimes {
  /** Milliseconds from the command. */
  query: number;
  ready: number;
  /** Resident megabytes when it is ready. */
  memory: number | null;
}

const queryText = '{ workflows(first: 5) { nodes { id name } } }';

export async function run(args: string[]): Promise<void> {
  const { values: options } = parseArgs({ args, options: { runs: { type: 'string', default: '5' }, npm: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } } });
  const program = options.npm ? ['npm', 'run', '--silent', 'start', '--'] : undefined;
  const [empty, existing]: [StartTimes[], StartTimes[]] = [[], []];
  for (let i = 0; i < Number(options.runs); i += 1) {
    const folder = ownFolder();
    try {
      empty.push(await timeStart(folder.dataDir, program));
      existing.push(await timeStart(folder.dataDir, program));
    } finally {
      folder.remove();
    }
  }
  const memory = await memoryApart();
  const results = { runs: empty.length, empty: medians(empty), existing: medians(existing), memory };
  if (options.json) printJson(results);
  else print(results);
  await idle(args);
}

async function timeStart(dataDir: string, program: readonly string[] | undefined): Promise<StartTimes> {
  const started = performance.now();
  const since = (): number => Math.round(performance.now() - started);
  const service = spawnCommand(program ? [] : ['start'], dataDir, program);
  try {
    const file = await untilServing(service, dataDir);
    await firstQuery(file);
    const query = since();
    while (!(await fetch(`${file.url}/readyz`)).ok) await sleep(2);
    return { query, ready: since(), memory: residentMb(file.pid) };
  } finally {
    await service.stop();
  }
}

async function firstQuery({ graphqlUrl, samples }: ServerFile): Promise<void> {
  const response = await fetch(graphqlUrl, { method: 'POST', headers: { 'content-type': 'application/json', 'x-api-key': samples!.apiKey }, body: JSON.stringify({ query: queryText }) });
  const { data, errors } = await response.json() as { data?: { workflows: { nodes: unknown[] } }; errors?: unknown };
  if (errors || !data || data.workflows.nodes.length === 0) throw new Error(`The first query was not answered: ${JSON.stringify(errors)}`);
}

/** After the samples are in, each alone, a few seconds after it has come up. */
async function memoryApart(): Promise<Record<'server' | 'worker', number | null>> {
  const folder = ownFolder();
  try {
    await timeStart(folder.dataDir, undefined);
    const server = spawnCommand(['server'], folder.dataDir);
    const { pid } = await untilServing(server, folder.dataDir);
    const worker = spawnCommand(['worker'], folder.dataDir);
    const { pid: workerPid } = await worker.answer;
    await sleep(5_000);
    const memory = { server: residentMb(pid), worker: residentMb(workerPid) };
    await worker.stop();
    await server.stop();
    return memory;
  } finally {
    folder.remove();
  }
}

function medians(times: readonly StartTimes[]): StartTimes {
  const of = (name: keyof StartTimes): number => Math.round(median(times.map((time) => time[name] ?? NaN)));
  return { query: of('query'), ready: of('ready'), memory: of('memory') };
}

function print({ runs, empty, existing, memory }: { runs: number; empty: StartTimes; existing: StartTimes; memory: Record<'server' | 'worker', number | null> }): void {
  printTable(([['empty', empty], ['with data', existing]] as const).map(([name, times]) => ({
    folder: name, 'first query ms': times.query, 'ready ms': times.ready, 'MB of start': times.memory,
  })));
  process.stdout.write(`\nMedians of ${runs}. Apart and idle: server ${memory.server ?? '-'} MB, worker ${memory.worker ?? '-'} MB.\n`);
}

/** What it does when nobody asks anything. */
async function idle(args: string[]): Promise<void> {
  const file = path.join(import.meta.dirname, 'idle.ts');
  if (!existsSync(file)) return;
  const { run: runIdle } = await import(file) as { run(args: string[]): Promise<void> };
  await runIdle(args.filter((word) => word === '--json'));
}
