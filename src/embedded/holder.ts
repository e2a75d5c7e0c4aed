/** One AgentFlow a data folder: the file `holder.json` names the process that has it. */
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { identifyProcess, isSameProcess } from './processes.ts';

export interface Holder {
  pid: number;
  /** See ProcessIdentity: tells a returned process id from the one that wrote this. */
  born: string;
  /** ISO 8601. */
  since: string;
}

const takeOverSeconds = 10;

/** Takes the folder for this process, making it if need be, and returns the function that gives it back. Throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE. */
export function holdFolder(folder: string): () => void {
  try {
    makeFolder(folder);
    return hold(folder);
  } catch (error) {
    if (error instanceof AgentFlowError) throw error;
    throw new AgentFlowError('DATA_DIR_UNUSABLE', `The data folder ${folder} cannot be used: ${(error as Error).message}`, { details: { folder }, cause: error });
  }
}

/** Not Node's `recursive`: that one tries for ever where a folder exists and nothing can be made in it, as in /proc. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return;
    const parent = path.dirname(folder);
    if (code !== 'ENOENT' || existsSync(parent)) throw error;
    makeFolder(parent);
    makeFolder(folder);
  }
}

function hold(folder: string): () => void {
  const file = path.join(folder, 'holder.json');
  const mine: Holder = { pid: process.pid, born: identifyProcess(process.pid)?.born ?? '', since: new Date().toISOString() };
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    while (!linkIfAbsent(draft, file)) {
      const text = readIfThere(file);
      if (text === null) continue;
      const holder = parseHolder(text);
      if (holder && isSameProcess(holder)) throw inUse(folder, holder);
      if (replaceStale(file, text, draft)) break;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readIfThere(file) === JSON.stringify(mine)) rmSync(file, { force: true });
  };
}

/** The living process that has the folder, or null. */
export function currentHolder(folder: string): Holder | null {
  const text = readIfThere(path.join(folder, 'holder.json'));
  const holder = text === null ? null : parseHolder(text);
  return holder && isSameProcess(holder) ? holder : null;
}

/**
 * Puts `draft` in the place of a dead holder's file. Only one process at a time may (the file `.takeover`), and it looks
 * again before it does: otherwise a slow one would throw out the process that was faster.
 */
function replaceStale(file: string, staleText: string, draft: string): boolean {
  const claim = `${file}.takeover`;
  if (!linkIfAbsent(draft, claim)) {
    const age = ageInSeconds(claim);
    if (age !== null && age > takeOverSeconds) rmSync(claim, { force: true });
    return false;
  }
  try {
    if (readIfThere(file) !== staleText) return false;
    renameSync(draft, file);
    return true;
  } finally {
    rmSync(claim, { force: true });
  }
}

function inUse(folder: string, holder: Holder): AgentFlowError {
  return new AgentFlowError('DATA_DIR_IN_USE', `The data folder ${folder} is in use by process ${holder.pid}, since ${holder.since}.`, {
    remedy: `Stop it (kill ${holder.pid}), or set AGENTFLOW_DATA_DIR to another folder.`,
    details: { folder, pid: holder.pid, since: holder.since },
  });
}

function linkIfAbsent(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function ageInSeconds(file: string): number | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? (Date.now() - stat.ctimeMs) / 1000 : null;
}

function parseHolder(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Partial<Holder>;
    return typeof value.pid === 'number' && typeof value.born === 'string' && typeof value.since === 'string' ? (value as Holder) : null;
  } catch {
    return null; // a torn file has no holder
  }
}
