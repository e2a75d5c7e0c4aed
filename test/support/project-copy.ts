/** A copy of the project that a test may change, with databases of its own, in which current.sql is empty and everything is committed. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { hasStatements } from '../../src/schema/scaffold.ts';
import { finish, type Finished } from './cli.ts';
import { useScratch, type ScratchUrls } from './migrations.ts';

export interface ProjectCopy {
  folder: string;
  urls: ScratchUrls;
  /** Runs the copy's command line on its databases. */
  run(words: string[]): Promise<Finished>;
}

/** Not the lock file: without it nothing is ever installed into the packages that the copy shares with the project. */
const copied = ['bin', 'src', 'tasks', 'migrations', '.gmrc', 'current.sql', 'package.json'];

/** Call at the top of a test file. */
export function useProjectCopy(): ProjectCopy {
  const scratch = useScratch();
  const copy = {} as ProjectCopy;
  beforeAll(async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-project-'));
    for (const name of copied) if (existsSync(path.join(projectFolder, name))) cpSync(path.join(projectFolder, name), path.join(folder, name), { recursive: true, verbatimSymlinks: true });
    symlinkSync(path.join(projectFolder, 'node_modules'), path.join(folder, 'node_modules'));
    const urls = await scratch.make();
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], DATABASE_URL: urls.databaseUrl, SHADOW_DATABASE_URL: urls.shadowUrl, ROOT_DATABASE_URL: urls.rootUrl };
    Object.assign(copy, {
      folder, urls,
      run: (words: string[]) => finish(spawn(process.execPath, [path.join(folder, 'bin', 'agentflow.mjs'), ...words], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })),
    });
    await commitEverything(copy);
  }, 120_000);
  afterAll(() => rmSync(copy.folder, { recursive: true, force: true }));
  return copy;
}

/** Work that is under way in current.sql takes the place of the first migration, which it is the whole of. */
async function commitEverything(copy: ProjectCopy): Promise<void> {
  const isUnderWay = hasStatements(readFileSync(path.join(copy.folder, 'current.sql'), 'utf8'));
  const committed = path.join(copy.folder, 'migrations', 'committed');
  if (isUnderWay && readdirSync(committed).filter((name) => name.endsWith('.sql')).length <= 1) {
    for (const name of readdirSync(committed)) rmSync(path.join(committed, name), { force: true });
  }
  const { code, stderr } = await copy.run(isUnderWay ? ['db', 'commit', '--message', 'initial'] : ['db', 'migrate']);
  if (code !== 0) throw new Error(stderr);
}
