/** Does what docs/how-to/add-a-task.md says, word by word: in a project of one's own beside a copy of AgentFlow, and in that copy. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { finish, type Finished } from '../support/cli.ts';
import { useProjectCopy } from '../support/project-copy.ts';
import { checkTypes } from '../tools/gates/tools.ts';

const agentflow = useProjectCopy();
const page = readFileSync(path.join(projectFolder, 'docs/how-to/add-a-task.md'), 'utf8');

interface Block { language: string; name: string; text: string }
const blocks: Block[] = [...page.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```/gm)].map(([, language, name, text]) => ({ language: language!, name: name!, text: text! }));
const files = blocks.filter(({ name }) => name.includes('.'));
const [commands] = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim().split('\n'));

let own: string;
beforeAll(() => {
  own = mkdtempSync(path.join(os.tmpdir(), 'agentflow-own-'));
  mkdirSync(path.join(own, 'node_modules/.bin'), { recursive: true });
  symlinkSync(agentflow.folder, path.join(own, 'node_modules/agentflow'));
  symlinkSync('../agentflow/bin/agentflow.mjs', path.join(own, 'node_modules/.bin/agentflow'));
  for (const { name, text } of files) write(path.join(name.startsWith('tasks/') ? agentflow.folder : own, name), text);
});
afterAll(() => rmSync(own, { recursive: true, force: true }));

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** A line of the page, as a shell runs it. */
function run(line: string): Promise<Finished> {
  const env = { PATH: `${path.join(own, 'node_modules/.bin')}:${process.env['PATH']!}`, HOME: process.env['HOME'], LOG_LEVEL: 'warn', npm_config_offline: 'true' };
  return finish(spawn('sh', ['-c', line], { cwd: own, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

test('one file is all that is added, in both places', () => {
  expect(files.filter(({ language }) => language === 'ts').map(({ name }) => name)).toEqual(['extension/tasks/flow/add_tax.ts', 'tasks/flow/count_records.ts']);
});

test('a project of one\'s own has its task, and AgentFlow the other one', async () => {
  expect(await run(commands![0]!)).toMatchObject({ code: 0, stdout: expect.stringContaining(blocks.find(({ name }) => name === 'output')!.text) });
  const { code, stdout } = await run(commands![1]!);
  expect({ code, names: stdout.trim().split('\n') }).toEqual({ code: 0, names: ['add_tax', 'count_records', 'execute_workflow', 'fetch_data', 'http_request', 'process_data', 'run_query', 'store_data', 'transform', 'wait'] });
}, 180_000);

test('what the task throws is what people read', async () => {
  const { code, stderr } = await run(`npx agentflow flow run invoice --input '{"rate": -1}' --follow`);
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("FAILURE") });
  expect(stderr).toContain("Task 'add_tax' failed: The rate must be a number from 0.");
}, 180_000);

test('its types are checked', () => {
  write(path.join(own, 'tsconfig.json'), JSON.stringify({ extends: path.join(projectFolder, 'tsconfig.json'), compilerOptions: { types: ['node'], typeRoots: [path.join(projectFolder, 'node_modules/@types')], preserveSymlinks: false }, include: ['extension'] }));
  expect(checkTypes(own)).toEqual({ passed: true, output: '' });
  write(path.join(own, 'extension/tasks/flow/wrong.ts'), `import type { FlowTask } from 'agentflow/flow-task';\nconst wrong: FlowTask = (context, { attempts }) => attempts;\nexport default wrong;\n`);
  try {
    expect(checkTypes(own)).toEqual({ passed: false, output: expect.stringMatching(/wrong\.ts\(2,\d+\): error TS2339: Property 'attempts' does not exist/) });
  } finally {
    rmSync(path.join(own, 'extension/tasks/flow/wrong.ts'));
  }
});

test.each([
  ['exports no function', 'no_function.ts', `export const task = () => 1;`, /no_function\.ts exports no function by default/],
  ['is there twice', 'transform.ts', `export default () => 1;`, /transform\.ts: there is already a task transform, in /],
  ['has a name that no task can have', 'end.ts', `export default () => 1;`, /end\.ts: no task can have the name end/],
  ['does not load', 'broken.ts', `import './nowhere.ts';`, /broken\.ts cannot be loaded: Cannot find module/],
])('a file that %s is refused with its name, before anything runs', async (_what, name, text, message) => {
  const file = path.join(own, 'extension/tasks/flow', name);
  write(file, text);
  try {
    expect(await run('npx agentflow flow run invoice --follow')).toMatchObject({ code: 3, stderr: expect.stringMatching(message) });
  } finally {
    rmSync(file);
  }
}, 180_000);
