import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { keptAnswers } from '../../src/cli/kept-answers.ts';

const answers = { '["select 1",[]]': [{ one: 1 }] };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kept-answers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('what is kept is known from then on, for that version', () => {
  expect(keptAnswers('18.4', folder).known).toEqual({});
  keptAnswers('18.4', folder).keep(answers);
  expect(keptAnswers('18.4', folder).known).toEqual(answers);
  expect(keptAnswers('18.5', folder).known).toEqual({});
});

test.each([
  ['an empty file', ''], ['half a file', JSON.stringify(answers).slice(0, 12)], ['null', 'null'], ['a list', '[]'], ['a text', '"x"'], ['answers without rows', '{"[]":null}'],
])('%s is asked for again, and replaced', (_name, text) => {
  keptAnswers('18.4', folder).keep(answers);
  const [file] = readdirSync(folder);
  writeFileSync(path.join(folder, file!), text);
  const kept = keptAnswers('18.4', folder);
  expect(kept.known).toEqual({});
  kept.keep(answers);
  expect(readdirSync(folder)).toEqual([file]);
  expect(keptAnswers('18.4', folder).known).toEqual(answers);
});
