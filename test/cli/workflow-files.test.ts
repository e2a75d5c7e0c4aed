/** Does what docs/how-to/workflow-files.md says, command by command, on the embedded database that the commands start. */
import { blocksOf, commandsOf, useOwnProject } from '../support/own-project.ts';

const project = useOwnProject();
const blocks = blocksOf('workflow-files.md');
const [schema, validate, apply, pull, run, compare, ci] = commandsOf(blocks);
const [validated, compared] = blocks.filter(({ language }) => language === 'text').map(({ text }) => text.trim());

/** What the lines wrote to standard output, joined; each must end well. */
async function follow(lines: readonly string[] | undefined): Promise<string> {
  let written = '';
  for (const line of lines!) {
    const { code, stdout, stderr } = await project.run(line);
    expect({ line, code, stderr: code === 0 ? '' : stderr }).toEqual({ line, code: 0, stderr: '' });
    written += stdout;
  }
  return written;
}

test('a workflow in a file, from the first line to the way back', async () => {
  for (const { name, text } of blocks.filter(({ name: file }) => file.includes('.'))) project.write(name, text);
  await follow(schema);
  expect(await follow(validate)).toContain(validated);
  expect(await follow(apply)).toMatch(/Would be: 1 created, 0 updated[\s\S]*1 created, 0 updated, 0 unchanged, 0 deleted, 1 published\./);
  expect(await follow(pull)).toMatch(/written +workflows\/customer-support-bot\.json\nsame +workflows\/greeting\.json/);
  expect((await follow(run)).match(/"text": "Hello \w+!"/g)).toEqual(['"text": "Hello Ann!"', '"text": "Hello Bob!"']);
  const differences = await follow(compare);
  for (const line of compared!.split('\n')) expect(differences).toContain(line);
  await follow(ci);
}, 300_000);
