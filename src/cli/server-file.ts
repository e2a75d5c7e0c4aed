/** `server.json` in the data folder: how scripts and tests find the running instance. It holds passwords, so only its owner reads it. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Samples } from '../schema/samples.ts';

export interface ServerFile {
  url: string;
  graphqlUrl: string;
  graphiqlUrl: string;
  pid: number;
  databaseUrl: string;
  authenticatorUrl: string;
  samples?: Samples;
}

/** Whole or not at all. */
export function writeServerFile(dataDir: string, content: ServerFile): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = path.join(dataDir, 'server.json');
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.${process.pid}`, file);
}

/** Leaves the file of another process that has taken over the folder. */
export function removeServerFile(dataDir: string): void {
  if (readServerFile(dataDir)?.pid === process.pid) rmSync(path.join(dataDir, 'server.json'), { force: true });
}

/** What a killed process left says nothing true any more. Only for who holds the folder. */
export function clearServerFile(dataDir: string): void {
  rmSync(path.join(dataDir, 'server.json'), { force: true });
}

export function readServerFile(dataDir: string): ServerFile | null {
  try {
    return JSON.parse(readFileSync(path.join(dataDir, 'server.json'), 'utf8')) as ServerFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Where the server of this configuration is reached, as far as it is known here. */
export function baseUrl({ dataDir, host, port }: { dataDir: string; host: string; port: number }): string {
  return readServerFile(dataDir)?.url ?? `http://${host}:${port}`;
}
