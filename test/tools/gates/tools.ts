/** The compiler and the linter as gates: their own output says what is wrong. */
import { spawnSync } from 'node:child_process';

export interface ToolResult {
  passed: boolean;
  output: string;
}

export function checkTypes(projectFolder: string): ToolResult {
  return run('tsc', ['--noEmit', '--project', projectFolder], projectFolder);
}

export function lint(projectFolder: string): ToolResult {
  return run('oxlint', ['--type-aware', '--deny-warnings', '--format=unix', '--config', `${projectFolder}/.oxlintrc.json`], projectFolder);
}

function run(command: string, options: string[], cwd: string): ToolResult {
  const { status, stdout, stderr, error } = spawnSync(command, options, { cwd, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } });
  return { passed: status === 0, output: error?.message ?? `${stdout}${stderr}`.trim() };
}
