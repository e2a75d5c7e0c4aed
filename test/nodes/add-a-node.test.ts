/** Does what docs/how-to/add-a-node.md says, word by word: in a project of one's own beside a copy of AgentFlow, and in that copy. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { finish, type Finished } from '../support/cli.ts';
import { useProjectCopy } from '../support/project-copy.ts';

const agentflow = useProjectCopy();
const page = readFileSync(path.join(projectFolder, 'docs/how-to/add-a-node.md'), 'utf8');

interface Block { language: string; name: string; text: string }
const blocks: Block[] = [...page.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```/gm)].map(([, language, name, text]) => ({ language: language!, name: name!, text: text! }));
const files = blocks.filter(({ name }) => name.includes('.'));
const [inOwnProject, inAgentFlow] = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text.trim().split('\n'));

let own: string;
beforeAll(() => {
  own = mkdtempSync(path.join(os.tmpdir(), 'agentflow-own-'));
  mkdirSync(path.join(own, 'node_modules/.bin'), { recursive: true });
  symlinkSync(agentflow.folder, path.join(own, 'node_modules/agentflow'));
  symlinkSync('../agentflow/bin/agentflow.mjs', path.join(own, 'node_modules/.bin/agentflow'));
  for (const { name, text } of files) write(path.join(name.startsWith('src/') ? agentflow.folder : own, name), text);
  for (const part of ['docs', 'test/tools', 'test/support']) cpSync(path.join(projectFolder, part), path.join(agentflow.folder, part), { recursive: true });
});
afterAll(() => rmSync(own, { recursive: true, force: true }));

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** A line of the page, as a shell runs it. */
function run(line: string, cwd: string): Promise<Finished> {
  const env = { PATH: `${path.join(own, 'node_modules/.bin')}:${process.env['PATH']!}`, HOME: process.env['HOME'], LOG_LEVEL: 'warn', npm_config_offline: 'true' };
  return finish(spawn('sh', ['-c', line], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] }));
}

test('one file is all that is added, in both places', () => {
  expect(files.filter(({ language }) => language === 'ts').map(({ name }) => name)).toEqual(['extension/nodes/slug.ts', 'src/nodes/shout.ts']);
});

test('a project of one\'s own has its node type, from validation to a run', async () => {
  const [validated, ran, schema] = [await run(inOwnProject![0]!, own), await run(inOwnProject![1]!, own), await run(inOwnProject![2]!, own)];
  expect(validated).toMatchObject({ code: 0, stdout: expect.stringContaining('slugs.json: valid, 0 errors, 0 warnings') });
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(blocks.find(({ name }) => name === 'output')!.text.trim()) });
  expect(schema).toMatchObject({ code: 0 });
  expect(JSON.parse(readFileSync(path.join(own, 'workflow.schema.json'), 'utf8'))).toMatchObject({ $defs: { slug_parameters: { description: 'Makes a text fit for an address.' } } });
}, 60_000);

test('the database accepts the node type in what is published, because a worker brought it', async () => {
  expect(await run('npx agentflow workflow apply slugs.json --publish', own)).toMatchObject({ code: 0, stdout: expect.stringContaining('1 published') });
}, 60_000);

test('its parameters are checked', async () => {
  write(path.join(own, 'wrong.json'), readFileSync(path.join(own, 'slugs.json'), 'utf8').replace('30', '"thirty"'));
  expect(await run('npx agentflow workflow validate wrong.json', own)).toMatchObject({ code: 1, stdout: expect.stringMatching(/wrong\.json:6:\d+: E003 nodes\.1\.metadata\.max_length must be a whole number/) });
});

test('a file in AgentFlow\'s own folder is a node type, and the pages say so', async () => {
  for (const line of inAgentFlow!) expect(await run(line, agentflow.folder)).toMatchObject({ code: 0 });
  expect(readFileSync(path.join(agentflow.folder, 'docs/node-types.md'), 'utf8')).toContain('## shout\n\nSays it louder.');
  write(path.join(own, 'loud.json'), JSON.stringify({ start_node: 'loud', nodes: [{ id: 'loud', type: 'shout', metadata: { input_key: 'text' } }] }));
  const { code, stdout } = await run(`npx agentflow workflow run loud.json --input '{"text": "hey"}' --follow`, own);
  expect({ code, result: (JSON.parse(stdout) as { shout_result: string }).shout_result }).toEqual({ code: 0, result: 'HEY!' });
}, 60_000);

test.each([
  ['is there twice', `export const one = { type: 'llm', summary: 's', run() {} };`, /node type llm is there twice/],
  ['has a bad name and no summary', `export const one = { type: 'Bad Name', run: 1 };`, /must be called by[\s\S]*has no summary[\s\S]*must have run as a function/],
  ['has parameters that are no schema', `export const one = { type: 'x', summary: 's', run() {}, parameters: { type: 'thing' } };`, /"thing" is no type of JSON Schema/],
  ['does not load', `import './nowhere.ts';`, /cannot be loaded: Cannot find module/],
])('a node type that %s is refused with its file, before anything starts', async (_what, text, message) => {
  const file = path.join(own, 'extension/nodes/broken.ts');
  write(file, text);
  try {
    expect(await run('npx agentflow workflow validate slugs.json', own)).toMatchObject({ code: 3, stderr: expect.stringMatching(message) });
  } finally {
    rmSync(file);
  }
});
