/** Does what README.md says: every command, in order, in a copy of the project, with an environment as empty as a new terminal's. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readServerFile, type ServerFile } from '../../src/cli/server-file.ts';
import { identifyProcess } from '../../src/embedded/processes.ts';
import { projectFolder } from '../../src/schema/migrate.ts';
import { finish, type Finished } from '../support/cli.ts';
import { useProjectCopy } from '../support/project-copy.ts';
import { openClient, watch } from '../support/subscriptions.ts';
import { clientOf, until } from './support/client.ts';
import { patternOf, stepsOf, type Step } from './support/readme.ts';
import { openShell, type Shell } from './support/shell.ts';

const slow = 400_000;
const markdown = readFileSync(path.join(projectFolder, 'README.md'), 'utf8');
const steps = stepsOf(markdown);
const project = useProjectCopy();

interface Running {
  npm: ChildProcess;
  info: ServerFile;
  output(): string;
  finished: Promise<Finished>;
}

let home: string;
let shell: Shell;
let running: Running | null = null;
/** Of the block of GraphQL before. */
let lastData: any;

/** Finds what the system has, not what this test run put in front of it. */
const environment = (): Record<string, string> => ({
  PATH: process.env['PATH']!.split(path.delimiter).filter((folder) => !folder.includes('node_modules')).join(path.delimiter), HOME: home,
});

beforeAll(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'agentflow-readme-'));
  shell = openShell(project.folder, environment(), home);
});
afterAll(async () => {
  shell.close();
  await stop();
  rmSync(home, { recursive: true, force: true });
}, slow);

/** Ctrl-C. */
async function stop(): Promise<void> {
  running?.npm.kill('SIGINT');
  const ended = await running?.finished;
  running = null;
  if (ended) expect(ended).toMatchObject({ code: 0 });
}

/** `npm start` in the other terminal; only the port is ours, because 5678 may be somebody's. */
async function start(): Promise<string> {
  await stop();
  const npm = spawn('npm', ['start'], { cwd: project.folder, env: { ...environment(), PORT: '0' }, stdio: ['ignore', 'pipe', 'pipe'] });
  const finished = finish(npm);
  let output = '';
  npm.stdout.on('data', (chunk: Buffer) => { output += chunk.toString('utf8'); });
  let over: Finished | null = null;
  void finished.then((result) => { over = result; });
  const dataDir = path.join(project.folder, '.agentflow');
  const file = await until(async () => (over ? null : readServerFile(dataDir)), (content) => over !== null || (content !== null && identifyProcess(content.pid) !== null));
  if (over || !file) throw new Error(`npm start ended: ${JSON.stringify(over)}`);
  running = { npm, info: file, output: () => output, finished };
  await until(async () => output, (text) => text.includes('Ctrl-C'));
  return output;
}

async function runShellStep({ text, shows }: Step): Promise<void> {
  const command = text.trim();
  // It is what runs this.
  if (command === 'npm test') return expect(process.env['npm_lifecycle_event'] ?? 'test').toBe('test');
  const printed = command === 'npm start' ? await start() : await shell.run(text);
  if (shows !== null) expect(printed).toMatch(patternOf(shows));
}

/** As GraphiQL does it, with the token of the terminal; `$id` is the execution that the text before is about. */
async function runGraphql({ text }: Step): Promise<void> {
  const headers = { authorization: `Bearer ${await shell.value('JWT')}` };
  const variables = text.includes('$id') ? { id: lastData?.executions?.nodes[0].id ?? await shell.value('ID') } : {};
  if (text.startsWith('subscription')) {
    const opened = openClient(running!.info.url, headers);
    const watching = watch(opened, text, variables);
    ({ data: lastData } = await watching.next());
    watching.stop();
    await opened.client.dispose();
  } else {
    lastData = await clientOf(running!.info.graphqlUrl, headers).data(text, variables);
  }
}

/** What the README promises of the answers in GraphiQL, by the name of the operation. */
const promised: Record<string, unknown> = {
  Watch: { executionUpdated: { execution: { status: 'COMPLETED', finalState: { intent: 'text' } } } },
  Running: { executions: { nodes: [{ workflow: { name: 'Order desk' }, nodeExecutions: { nodes: [{ nodeId: 'person', status: 'WAITING' }] } }] } },
  Cancel: { cancelExecution: { execution: { status: 'CANCELLED', completedAt: expect.any(String) } } },
  Audit: { auditLogs: { nodes: expect.arrayContaining([expect.objectContaining({ action: 'cancel', entityType: 'execution', user: { email: 'john@example.com' } })]) } },
};

test.each(steps.map((step) => [`${step.language}, line ${step.line}`, step] as const))('%s', async (_name, step) => {
  if (step.language === 'sh') return runShellStep(step);
  await runGraphql(step);
  const name = /^\w+ (\w+)/.exec(step.text)![1]!;
  expect(promised).toHaveProperty(name);
  expect(lastData).toMatchObject(promised[name] as object);
}, slow);

test('the color that the DBA gave workflows is in the API', async () => {
  const { __type } = await clientOf(running!.info.graphqlUrl, {}).data('{ __type(name: "WorkflowColor") { enumValues { name } } }');
  expect(__type.enumValues.map(({ name }: { name: string }) => name).toSorted()).toEqual(['BLUE', 'GREEN', 'RED']);
});

test('what the README links to and names is there', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(projectFolder, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  for (const [, target] of markdown.matchAll(/\]\(([^)#:]+)\)/g)) expect([target, existsSync(path.join(projectFolder, target!))]).toEqual([target, true]);
  for (const [, script] of markdown.matchAll(/`npm run ([\w:-]+)/g)) expect(Object.keys(scripts)).toContain(script);
});

test('a README that shows something else, or a block that nobody runs, is noticed', () => {
  const printed = 'Committed: 000002-x.sql\n000002.sql  APPLIED  2026-11-21T21:04:16.832Z\nid 660e8400-e29b-41d4-a716-446655440000 on 127.0.0.1:41897 in 0.045 s\n';
  for (const shown of ['Committed: 000002-x.sql', '…\n000002.sql  APPLIED  …', 'id 123e4567-e89b-12d3-a456-426614174000 on 127.0.0.1:5678 in 2.500 s']) expect(printed).toMatch(patternOf(shown));
  for (const shown of ['Committed: 000003-x.sql', 'Committed', '000002.sql  PENDING  …', 'id … on 127.0.0.1:5678 in 2.500 s\nmore']) expect(printed).not.toMatch(patternOf(shown));
  expect(() => stepsOf('```bash\nnpm start\n```\n')).toThrow('README.md:1');
  expect(() => stepsOf('# x\n```text\nsomething\n```\n')).toThrow('README.md:2');
});
