/** A project of one's own that uses a copy of AgentFlow, and the pages of docs/how-to that are followed in it. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { finish, type Finished } from './cli.ts';
import { useProjectCopy } from './project-copy.ts';

export interface Block {
  language: string;
  /** What stands behind the language: the name of the file, where it is one. */
  name: string;
  text: string;
}

/** The blocks of code of a page, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(path.join(projectFolder, 'docs/how-to', page), 'utf8');
  return [...text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```/gm)].map(([, language, name, code]) => ({ language: language!, name: name!, text: code! }));
}

/** The lines of the blocks of shell commands, a list a block. */
export function commandsOf(blocks: readonly Block[]): string[][] {
  return blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim().split('\n'));
}

export interface OwnProject {
  folder: string;
  /** Of the copy of AgentFlow. */
  agentflow: string;
  write(file: string, text: string): void;
  /** A line of a page, as a shell runs it in the project, or in the folder given. */
  run(line: string, cwd?: string): Promise<Finished>;
}

/** Call at the top of a test file. */
export function useOwnProject(): OwnProject {
  const copy = useProjectCopy();
  const project = {} as OwnProject;
  beforeAll(() => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-own-'));
    const programs = path.join(folder, 'node_modules/.bin');
    mkdirSync(programs, { recursive: true });
    symlinkSync(copy.folder, path.join(folder, 'node_modules/agentflow'));
    symlinkSync('../agentflow/bin/agentflow.mjs', path.join(programs, 'agentflow'));
    const env = { PATH: `${programs}:${process.env['PATH']!}`, HOME: process.env['HOME'], LOG_LEVEL: 'warn', npm_config_offline: 'true' };
    Object.assign(project, {
      folder, agentflow: copy.folder,
      write(file: string, text: string) {
        mkdirSync(path.dirname(path.resolve(folder, file)), { recursive: true });
        writeFileSync(path.resolve(folder, file), text);
      },
      run: (line: string, cwd = folder) => finish(spawn('sh', ['-c', line], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })),
    });
  });
  afterAll(() => rmSync(project.folder, { recursive: true, force: true }));
  return project;
}
