/** Does what docs/how-to/run.md says, on a database of the test server: migrate, serve and work in processes of their own, make the first tenant. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { readServerFile } from '../../src/cli/server-file.ts';
import { projectFolder } from '../../src/schema/migrate.ts';
import { finish, type Finished } from '../support/cli.ts';
import { clusterUrl, testCluster } from '../support/database.ts';
import { useProjectCopy } from '../support/project-copy.ts';
import { clientOf, until } from './support/client.ts';
import { openShell, type Shell } from './support/shell.ts';

const slow = 180_000;
const page = readFileSync(path.join(projectFolder, 'docs', 'how-to', 'run.md'), 'utf8');
const blocks = (language: string): string[] => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'gm'))].map(([, text]) => text!);
const [prepare, serve, work, firstTenant] = blocks('sh') as [string, string, string, string];
const [environmentFile] = blocks('ini') as [string];

const project = useProjectCopy();
const processes: { child: ChildProcess; finished: Promise<Finished> }[] = [];
let home: string;
let shell: Shell;
let variables: Record<string, string>;

beforeAll(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'agentflow-run-'));
  const url = (role: Parameters<typeof clusterUrl>[1]): string => clusterUrl(testCluster(), role, new URL(project.urls.databaseUrl).pathname.slice(1));
  variables = {
    DATABASE_URL: url('agentflow_owner'), DATABASE_AUTHENTICATOR_URL: url('agentflow_authenticator'), DATABASE_WORKER_URL: url('agentflow_worker'),
    JWT_SECRET: 'a'.repeat(32), AGENTFLOW_SECRET_KEY: 'b'.repeat(32),
  };
  const others = { PATH: process.env['PATH']!, HOME: home, PORT: '0', AGENTFLOW_MOCK_LLM: '1' };
  writeFileSync(path.join(project.folder, 'agentflow.env'), Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`).join(''));
  shell = openShell(project.folder, { ...others, SUPERUSER_URL: url('postgres') }, home);
});
afterAll(async () => {
  shell.close();
  for (const { child, finished } of processes) {
    child.kill('SIGTERM');
    await finished;
  }
  rmSync(home, { recursive: true, force: true });
}, slow);

/** A command that goes on running, in a terminal of its own; resolves when it has said that it is up. */
async function keepRunning(command: string): Promise<void> {
  expect(command).toMatch(/^node bin\/agentflow\.mjs \w+\n$/);
  const env = { PATH: process.env['PATH'], HOME: home, PORT: '0', AGENTFLOW_MOCK_LLM: '1', ...variables };
  const child = spawn('sh', ['-c', `exec ${command}`], { cwd: project.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => { said += chunk.toString('utf8'); });
  const finished = finish(child);
  processes.push({ child, finished });
  void finished.then(({ code, stderr }) => { said += `AgentFlow ended with ${String(code)}: ${stderr}`; });
  await until(async () => said, (text) => text.includes('AgentFlow '));
  expect(said).toMatch(/^AgentFlow (serves|works)/);
}

test('the environment file names what is needed', () => {
  expect(environmentFile.trim().split('\n').map((line) => line.split('=')[0])).toEqual(Object.keys(variables));
});

test('the database is prepared and migrated, and healthy', async () => {
  expect(await shell.run(prepare)).toMatch(/Healthy\.\n$/);
}, slow);

test('server and worker run in processes of their own, and the first tenant\'s admin gets a workflow run', async () => {
  await keepRunning(serve);
  await keepRunning(work);
  const said = await shell.run(firstTenant);
  const { graphqlUrl } = readServerFile(path.join(project.folder, '.agentflow'))!;
  const [, token] = /\/join#([\w-]+)/.exec(said)!;
  const { useAccessLink: { jwt } } = await clientOf(graphqlUrl, {})
    .data('mutation ($token: String!) { useAccessLink(input: { token: $token, name: "Ada", password: "five rusty anchors sing" }) { jwt } }', { token });
  const ada = clientOf(graphqlUrl, { authorization: `Bearer ${jwt}` });
  expect(await ada.data('{ currentUser { name role tenant { slug } } }')).toEqual({ currentUser: { name: 'Ada', role: 'ADMIN', tenant: { slug: 'acme' } } });

  const spec = { start_node: 'a', nodes: [{ id: 'a', type: 'llm', metadata: { source: 'm' } }], sources: [{ id: 'm', kind: 'llm', config: { model: 'any' } }] };
  const { createWorkflow: { workflow } } = await ada.data('mutation ($spec: JSON!) { createWorkflow(input: { workflow: { name: "First", spec: $spec } }) { workflow { id } } }', { spec });
  const { executeWorkflow: { execution } } = await ada.data('mutation ($id: UUID!) { executeWorkflow(input: { workflowId: $id, initialState: { user_input: "Hello" } }) { execution { id } } }', { id: workflow.id });
  const done = await until(() => ada.data('query ($id: UUID!) { execution(id: $id) { status finalState } }', { id: execution.id }), (data) => !['PENDING', 'RUNNING'].includes(data.execution.status));
  expect(done.execution).toMatchObject({ status: 'COMPLETED', finalState: { text_result: '[mock] any would answer: Hello' } });
}, slow);

test('the table of variables is the one that is read', () => {
  const source = readFileSync(path.join(projectFolder, 'src', 'config.ts'), 'utf8');
  const read = source.split('\n').filter((line) => line.includes('read.')).flatMap((line) => [...line.matchAll(/'([A-Z]+_?[A-Z_]+)'/g)].map(([, name]) => name!)).filter((name) => name !== 'GM_DBURL');
  expect(read).toContain('DATABASE_URL');
  const table = page.slice(page.indexOf('## The environment'), page.indexOf('## Is it well?'));
  const told = [...table.matchAll(/^\| ((?:`[A-Z_]+`(?:, )?)+) \|/gm)].flatMap(([, names]) => [...names!.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name!));
  expect(told.toSorted()).toEqual([...new Set(read)].toSorted());
});
