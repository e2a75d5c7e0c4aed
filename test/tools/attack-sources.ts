/** `npm run attack:sources`: the attack suites of sources in full, and a table of attempts and hits. Exit code 1 when there is a hit or a suite fails. */
import '../../bench/support/only-own-databases.ts';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { reportVariable, type AttackLine } from '../support/attacks.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-attacks-'));
const file = path.join(folder, 'report.jsonl');
const started = performance.now();
try {
  const { status } = spawnSync(process.execPath, [
    '--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js', 'test/attacks', 'test/sources/hostile.test.ts', ...process.argv.slice(2),
  ], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, [reportVariable]: file } });
  const lines = readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as AttackLine);
  const sum = { attack: 'all', attempts: lines.reduce((total, { attempts }) => total + attempts, 0), hits: lines.reduce((total, { hits }) => total + hits, 0) };
  const width = Math.max(...lines.map(({ attack }) => attack.length));
  for (const { attack, attempts, hits } of [...lines.sort((a, b) => (a.attack < b.attack ? -1 : 1)), sum]) {
    process.stdout.write(`${attack.padEnd(width)}  ${String(attempts).padStart(7)} attempts  ${String(hits).padStart(4)} hits\n`);
  }
  process.stdout.write(`${Math.round((performance.now() - started) / 1_000)} s${status === 0 ? '' : '; a suite failed'}\n`);
  process.exitCode = status === 0 && sum.hits === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
