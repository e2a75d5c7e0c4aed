/** Runs engines beside each other: each in a process and a database of its own, on one server, in turns. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { databaseName, type LoginRole } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { ensureDatabaseSettings } from '../../src/schema/prepare.ts';
import type { EngineOptions } from '../engines/engine.ts';
import type { Answer, Command } from '../engines/process.ts';
import { cpuSecondsWithChildren } from './cpu-time.ts';
import type { OwnCluster } from './own-cluster.ts';

export interface Cost extends Answer {
  statements: number;
  walBytes: number;
  /** Of all of PostgreSQL's processes. */
  serverCpuSeconds: number;
}

export interface Contestant {
  name: string;
  database: string;
  pid: number;
  run(command: Exclude<Command, { do: 'close' }>): Promise<Cost>;
  close(): Promise<void>;
}

/** What the server has to be started with, so that statements can be counted. */
export const contestSettings = { shared_preload_libraries: 'pg_stat_statements' };

const processFile = path.join(import.meta.dirname, '..', 'engines', 'process.ts');

export interface ContestantOptions {
  /** Its database is a copy of ours; otherwise it is empty. */
  withSchema: boolean;
  packages: string;
  effectUrl: string;
  concurrency?: number;
  /** One that another contestant has made: several processes on one. */
  database?: string;
}

export async function openContestant(cluster: OwnCluster, name: string, options: ContestantOptions): Promise<Contestant> {
  const database = options.database ?? await makeDatabase(cluster, name, options.withSchema);
  const url = (role: LoginRole): string => cluster.url(role, database);
  const told: EngineOptions = {
    urls: { postgres: url('postgres'), agentflow_owner: url('agentflow_owner'), agentflow_authenticator: url('agentflow_authenticator'), agentflow_worker: url('agentflow_worker') },
    effectUrl: options.effectUrl, packages: options.packages, ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
  };
  const child = spawn(process.execPath, [processFile, name, JSON.stringify(told)], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_ENV: 'production' } });
  const ended = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const heard = async (): Promise<unknown> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`${name} ended before it answered.`);
      if (value.startsWith('{')) return JSON.parse(value); // libraries may have something to say, too
    }
  };
  await heard();
  return {
    name, database, pid: child.pid!,
    async run(command) {
      const before = await used(cluster, database);
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const answer = await heard() as Answer;
      const after = await used(cluster, database);
      return { ...answer, statements: after.statements - before.statements, walBytes: after.walBytes - before.walBytes, serverCpuSeconds: after.serverCpuSeconds - before.serverCpuSeconds };
    },
    async close() {
      child.stdin.write(`${JSON.stringify({ do: 'close' })}\n`);
      await ended;
    },
  };
}

async function makeDatabase(cluster: OwnCluster, name: string, withSchema: boolean): Promise<string> {
  const database = `bench_${name.replaceAll('-', '_')}`;
  await withClient(cluster.url('postgres', 'postgres'), async (client) => {
    await client.query(`drop database if exists ${database} with (force)`);
    await client.query(`create database ${database} ${withSchema ? `template ${databaseName}` : ''} owner agentflow_owner`);
  });
  if (withSchema) await withClient(cluster.url('agentflow_owner', database), ensureDatabaseSettings);
  return database;
}

interface Used { statements: number; walBytes: number; serverCpuSeconds: number }

async function used(cluster: OwnCluster, database: string): Promise<Used> {
  const { rows } = await withClient(cluster.url('postgres'), (client) => client.query<{ statements: number; wal: number }>(`
    select coalesce(sum(calls), 0)::float8 as statements, (pg_current_wal_insert_lsn() - '0/0')::float8 as wal
      from pg_stat_statements where dbid = (select oid from pg_database where datname = $1)`, [database]));
  return { statements: rows[0]!.statements, walBytes: rows[0]!.wal, serverCpuSeconds: cpuSecondsWithChildren(cluster.pid) ?? 0 };
}

/** A server on this machine that answers everything with a small JSON, after `delayMs`: the outside of steps with an effect. */
export async function withEffectServer<T>(use: (url: string) => Promise<T>, delayMs = 0): Promise<T> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    if (delayMs === 0) response.end('{"ok":true}');
    else setTimeout(() => response.end('{"ok":true}'), delayMs);
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
