import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { apiChanges, breakingDeclarations, mainBefore, stateAt } from '../../src/schema/api-breaks.ts';
import { writeHistory } from '../support/migrations.ts';

const sdl = `
type Query { workflow(id: ID!): Workflow  workflows(first: Int): [Workflow!]! }
type Workflow { id: ID!  name: String  status: Status! }
enum Status { DRAFT PUBLISHED }
input WorkflowInput { name: String! }
type Mutation { createWorkflow(input: WorkflowInput!): Workflow }`;

const levelsOf = (newSdl: string, declarations: string[] = []) => apiChanges(sdl, newSdl, declarations).map(({ level, subject, declared }) => [level, subject, declared]);

test.each([
  ['a field is removed', sdl.replace('name: String  status', 'status'), 'Workflow.name'],
  ['a field changes its type', sdl.replace('name: String  status', 'name: Int  status'), 'Workflow.name'],
  ['a type is removed', sdl.replace(/type Mutation .*/, ''), 'Mutation'],
  ['an enum value is removed', sdl.replace('DRAFT PUBLISHED', 'PUBLISHED'), 'Status.DRAFT'],
  ['an argument becomes required', sdl.replace('first: Int', 'first: Int!'), 'Query.workflows'],
  ['a new argument is required', sdl.replace('first: Int', 'first: Int, by: String!'), 'Query.workflows'],
  ['an input field becomes required', sdl.replace('name: String!', 'name: String! kind: String!'), 'WorkflowInput.kind'],
])('breaking: %s', (_what, newSdl, subject) => {
  expect(levelsOf(newSdl)).toEqual([['breaking', subject, false]]);
  expect(levelsOf(newSdl, [`${subject} is gone, because nobody used it.`])).toEqual([['breaking', subject, true]]);
});

test('dangerous: an enum value more; it needs no line', () => {
  expect(levelsOf(sdl.replace('DRAFT PUBLISHED', 'DRAFT PUBLISHED ARCHIVED'))).toEqual([['dangerous', 'Status.ARCHIVED', true]]);
});

test('a field more is nothing to speak of, and a declaration of another field declares nothing', () => {
  expect(levelsOf(sdl.replace('name: String  status', 'name: String  title: String  status'))).toEqual([]);
  expect(levelsOf(sdl.replace('name: String  status', 'status'), ['Workflow.names, Workflow.id'])).toEqual([['breaking', 'Workflow.name', false]]);
});

test('declarations are read from migrations that the other commit does not have, and from current.sql', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-breaks-'));
  try {
    const migrations = path.join(folder, 'migrations');
    writeHistory(migrations, { committed: [{ body: 'select 1;', headers: ['--! Breaking: Workflow.old'] }] });
    mkdirSync(path.join(migrations, 'snapshot'));
    const git = (...parts: string[]) => execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...parts], { encoding: 'utf8' });
    git('init', '-q', '-b', 'main');
    git('commit', '-q', '--allow-empty', '-m', 'empty');
    expect(stateAt('main', folder)).toBeNull();
    writeFileSync(path.join(migrations, 'snapshot', 'schema.graphql'), sdl);
    git('add', '-A');
    git('commit', '-q', '-m', 'first');
    const before = stateAt('main', folder)!;
    expect(before).toEqual({ sdl, migrations: ['000001.sql'] });
    writeHistory(migrations, {
      committed: [{ body: 'select 1;', headers: ['--! Breaking: Workflow.old'] }, { body: 'select 2;', headers: ['--! Message: m', '--! Breaking: Workflow.name goes'] }],
      current: '--! Breaking: Status.DRAFT\n\nselect 3;\n',
    });
    expect(breakingDeclarations(migrations, before.migrations)).toEqual(['Workflow.name goes', 'Status.DRAFT']);
    expect(mainBefore(folder)).toBe('main'); // something has changed since its last commit
    git('add', '-A');
    git('commit', '-q', '-m', 'second');
    expect(mainBefore(folder)).toBe('HEAD^');
    git('checkout', '-q', '-b', 'branch');
    git('commit', '-q', '--allow-empty', '-m', 'on a branch');
    expect(mainBefore(folder)).toBe('main');
    git('update-ref', 'refs/remotes/origin/main', 'main');
    git('branch', '-q', '-D', 'main');
    expect(mainBefore(folder)).toBe('origin/main');
    git('update-ref', '-d', 'refs/remotes/origin/main');
    expect(() => mainBefore(folder)).toThrow(expect.objectContaining({ code: 'NOT_FOUND', remedy: expect.stringContaining('git fetch origin main') }));
    expect(mainBefore(os.tmpdir())).toBeNull();
    expect(() => stateAt('nowhere', folder)).toThrow(expect.objectContaining({ code: 'NOT_FOUND', remedy: expect.stringContaining('--against') }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
