/** Does what docs/how-to/add-a-node.md says, word by word: in a project of one's own beside a copy of AgentFlow, and in that copy. */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';
import { blocksOf, commandsOf, useOwnProject } from '../support/own-project.ts';

const project = useOwnProject();
const blocks = blocksOf('add-a-node.md');
const files = blocks.filter(({ name }) => name.includes('.'));
const [inOwnProject, inAgentFlow] = commandsOf(blocks);

beforeAll(() => {
  for (const { name, text } of files) project.write(path.join(name.startsWith('src/') ? project.agentflow : '.', name), text);
  for (const part of ['docs', 'test/tools', 'test/support']) cpSync(path.join(projectFolder, part), path.join(project.agentflow, part), { recursive: true });
});

test('one file is all that is added, in both places', () => {
  expect(files.filter(({ language }) => language === 'ts').map(({ name }) => name)).toEqual(['extension/nodes/slug.ts', 'src/nodes/shout.ts']);
});

test('a project of one\'s own has its node type, from validation to a run', async () => {
  const [validated, ran, schema] = [await project.run(inOwnProject![0]!), await project.run(inOwnProject![1]!), await project.run(inOwnProject![2]!)];
  expect(validated).toMatchObject({ code: 0, stdout: expect.stringContaining('slugs.json: valid, 0 errors, 0 warnings') });
  expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(blocks.find(({ name }) => name === 'output')!.text.trim()) });
  expect(schema).toMatchObject({ code: 0 });
  expect(JSON.parse(readFileSync(path.join(project.folder, 'workflow.schema.json'), 'utf8'))).toMatchObject({ $defs: { slug_parameters: { description: 'Makes a text fit for an address.' } } });
}, 180_000);

test('the database accepts the node type in what is published, because a worker brought it', async () => {
  expect(await project.run('npx agentflow workflow apply slugs.json --publish')).toMatchObject({ code: 0, stdout: expect.stringContaining('1 published') });
}, 180_000);

test('its parameters are checked', async () => {
  project.write('wrong.json', readFileSync(path.join(project.folder, 'slugs.json'), 'utf8').replace('30', '"thirty"'));
  expect(await project.run('npx agentflow workflow validate wrong.json')).toMatchObject({ code: 1, stdout: expect.stringMatching(/wrong\.json:6:\d+: E003 nodes\.1\.metadata\.max_length must be a whole number/) });
});

test('a file in AgentFlow\'s own folder is a node type, and the pages say so', async () => {
  for (const line of inAgentFlow!) expect(await project.run(line, project.agentflow)).toMatchObject({ code: 0 });
  expect(readFileSync(path.join(project.agentflow, 'docs/node-types.md'), 'utf8')).toContain('## shout\n\nSays it louder.');
  project.write('loud.json', JSON.stringify({ start_node: 'loud', nodes: [{ id: 'loud', type: 'shout', metadata: { input_key: 'text' } }] }));
  const { code, stdout } = await project.run(`npx agentflow workflow run loud.json --input '{"text": "hey"}' --follow`);
  expect({ code, result: (JSON.parse(stdout) as { shout_result: string }).shout_result }).toEqual({ code: 0, result: 'HEY!' });
}, 180_000);

test.each([
  ['is there twice', `export const one = { type: 'llm', summary: 's', run() {} };`, /node type llm is there twice/],
  ['has a bad name and no summary', `export const one = { type: 'Bad Name', run: 1 };`, /must be called by[\s\S]*has no summary[\s\S]*must have run as a function/],
  ['has parameters that are no schema', `export const one = { type: 'x', summary: 's', run() {}, parameters: { type: 'thing' } };`, /"thing" is no type of JSON Schema/],
  ['does not load', `import './nowhere.ts';`, /cannot be loaded: Cannot find module/],
])('a node type that %s is refused with its file, before anything starts', async (_what, text, message) => {
  const file = path.join(project.folder, 'extension/nodes/broken.ts');
  project.write(file, text);
  try {
    expect(await project.run('npx agentflow workflow validate slugs.json')).toMatchObject({ code: 3, stderr: expect.stringMatching(message) });
  } finally {
    rmSync(file);
  }
});
