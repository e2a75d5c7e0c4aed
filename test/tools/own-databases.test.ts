/** Whatever makes and ruins databases refuses to run where another one could be meant, before it does anything. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
/** Name and program of each; `test` and `check` work on what a test run makes, `start` is for a database of one's own. */
const programs = Object.entries(scripts).flatMap(([name, command]) => {
  const file = / exec node ((?:bench|test)\/\S+\.ts)$/.exec(command)?.[1];
  return file === undefined || name === 'check' ? [] : [[name, file] as const];
});

async function run(file: string, env: Record<string, string>, word = 'executions'): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file, word], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'], ...env } });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const code = await new Promise<number | null>((resolve) => {
    child.on('close', resolve);
  });
  return { code, said };
}

test('there are such programs', () => {
  expect(programs.map(([name]) => name).toSorted()).toEqual(['attack:api', 'attack:sources', 'bench', 'bench:engine', 'bench:sources', 'chaos', 'judges', 'test:agreement', 'test:matrix', 'test:mutations', 'test:upgrade']);
});

test.each(programs)('%s', async (_name, file) => {
  const { code, said } = await run(file, { DATABASE_URL: 'postgres://somebody@192.0.2.1/theirs' });
  expect({ code, said }).toEqual({ code: 2, said: expect.stringMatching(/^REFUSED: DATABASE_URL is set\./) });
});

test('every variable that names a database is told', async () => {
  const others = ['ROOT_DATABASE_URL', 'SHADOW_DATABASE_URL', 'DATABASE_AUTHENTICATOR_URL', 'DATABASE_WORKER_URL', 'READ_REPLICA_URL'];
  const { code, said } = await run('test/chaos/main.ts', Object.fromEntries(others.map((name) => [name, 'postgres://somebody@192.0.2.1/theirs'])));
  expect({ code, said }).toEqual({ code: 2, said: expect.stringContaining(`${others.join(', ')} is set.`) });
});

test.each(['attack:api', 'judges', 'test:agreement', 'test:mutations', 'test:upgrade'])('%s makes nothing of a word that it does not know', async (name) => {
  const { code, said } = await run(new Map(programs).get(name)!, {}, 'nonsense');
  expect({ code, said }).toEqual({ code: 2, said: expect.stringMatching(/^REFUSED: .*nonsense/) });
});
