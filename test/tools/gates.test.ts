import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Gate } from './gates/gate.ts';
import { lengthsGate, maxLines } from './gates/lengths.ts';
import { machinePathsGate } from './gates/machine-paths.ts';
import { manifestGate } from './gates/manifest.ts';
import { importsOf, roomsGate } from './gates/rooms.ts';
import { checkTypes, lint } from './gates/tools.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');

/** Each gate is shown closing: a small project with one fault in it, and the same without. */
describe('the gate', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-gate-')); });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (file: string, content: string): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), content);
  };
  const told = (gate: Gate): string[] => gate(folder).map(({ file, line, message }) => `${file}:${line ?? ''} ${message}`);

  describe('of rooms', () => {
    test.each([
      ['src/errors.ts', `import { other } from './keys.ts';`, 'errors may not import keys'],
      ['src/engine/step.ts', `import { run } from '../runtime/driver.ts';`, 'engine may not import runtime/driver'],
      ['src/engine/step.ts', `import fs from 'node:fs';`, 'the engine is pure: it imports no module of Node'],
      ['src/engine/step.ts', `const at = Date.now();`, 'the engine is pure: Date.now is not'],
      ['src/engine/step.ts', `const luck = Math.random();`, 'the engine is pure: Math.random is not'],
      ['src/store/claims.ts', `import { plan } from '../engine/types.ts';`, 'store may not import engine/types except types'],
      ['src/server/index.ts', `import { step } from '../engine/step.ts';`, 'server may not import engine/step'],
      ['src/server/index.ts', `const { startWorker } = await import('../runtime/index.ts');`, 'server may not import runtime/index'],
      ['src/runtime/index.ts', `export { ask } from '../server/index.ts';`, 'runtime may not import server/index'],
      ['src/nodes/llm.ts', `import { request } from 'undici';`, 'nodes may not import undici: only sources open connections to the outside'],
      ['src/runtime/index.ts', `import { generateText } from 'ai';`, 'runtime may not import ai: only sources open connections to the outside'],
      ['src/runtime/index.ts', `const answer = await fetch(url);`, 'only sources open connections to the outside'],
      ['src/server/index.ts', `const secret = process.env.JWT_SECRET;`, 'only config reads the environment'],
      ['src/schema/index.ts', `import { helper } from '../../test/support/database.ts';`, 'schema may not import ../../test/support/database.ts: it lies outside of src/ and tasks/'],
      ['src/attic/old.ts', `export const old = 1;`, 'attic is no room of the table: name it there, with what it may import'],
      ['tasks/run.ts', `import { claim } from '../src/store/claims.ts';`, 'tasks may not import store/claims'],
    ])('refuses in %s: %s', (file, line, message) => {
      write(file, `// a line above\n${line}\n`);
      expect(told(roomsGate)).toEqual([expect.stringContaining(message)]);
    });

    test('lets pass what the table allows', () => {
      write('src/server/index.ts', `import { validate } from '../engine/validate.ts';\nimport { AgentFlowError } from '../errors.ts';\nimport http from 'node:http';\n`);
      write('src/store/claims.ts', `import type { Plan } from '../engine/types.ts';\nimport { type Json, type Problem } from '../engine/types.ts';\n`);
      write('src/sources/llm.ts', `import { generateText } from 'ai';\n// process.env is not read here\n`);
      write('tasks/run.ts', `import { run } from '../src/runtime/index.ts';\n`);
      expect(told(roomsGate)).toEqual([]);
    });

    test('sees imports in all their forms', () => {
      expect(importsOf([
        `import 'a';`, `import b from "b";`, `import {`, `  type C,`, `  c,`, `} from 'c';`, `import type { D } from 'd';`,
        `import { type E } from 'e';`, `export * from 'f';`, `const g = await import('g');`, `type H = typeof import('h');`,
      ])).toEqual([
        { specifier: 'a', isType: false, line: 1 }, { specifier: 'b', isType: false, line: 2 }, { specifier: 'c', isType: false, line: 3 },
        { specifier: 'd', isType: true, line: 7 }, { specifier: 'e', isType: true, line: 8 }, { specifier: 'f', isType: false, line: 9 },
        { specifier: 'g', isType: false, line: 10 }, { specifier: 'h', isType: true, line: 11 },
      ]);
    });
  });

  test('of lengths refuses a file of too many ideas', () => {
    write('src/engine/short.ts', '\n'.repeat(maxLines));
    write('src/engine/long.ts', '\n'.repeat(maxLines + 1));
    expect(told(lengthsGate)).toEqual([expect.stringMatching(/^src\/engine\/long\.ts: 321 lines/)]);
  });

  test('of paths refuses what only exists on one machine', () => {
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    const place = ['', 'home', 'somebody', 'project'].join('/');
    write('docs/one.md', `Look into ${place} first.\n`);
    write('docs/two.md', 'Look into ./home/somebody, https://example.com/home/x and `<folder>/root/x`.\n');
    execFileSync('git', ['add', '.'], { cwd: folder });
    expect(told(machinePathsGate)).toEqual([`docs/one.md:1 ${place.split('/').slice(0, 3).join('/')} is a path of some machine`]);
  });

  test('of the manifest refuses a fixture that nothing includes', () => {
    write('migrations/current.sql', '--!include all.sql\n');
    write('migrations/fixtures/all.sql', '--!include one.sql\n');
    write('migrations/fixtures/one.sql', 'select 1;\n');
    expect(told(manifestGate)).toEqual([]);
    write('migrations/fixtures/two.sql', 'select 2;\n');
    expect(told(manifestGate)).toEqual([expect.stringContaining('two.sql')]);
  });

  test.each([
    [{ numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numFailedTestSuites: 0, numRuntimeErrorTestSuites: 0 }, '3 passed, 0 failed'],
    [{ numPassedTests: 3, numFailedTests: 2, numPendingTests: 1, numFailedTestSuites: 1, numRuntimeErrorTestSuites: 0 }, '3 passed, 2 failed, 1 skipped'],
    [{ numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numFailedTestSuites: 1, numRuntimeErrorTestSuites: 1 }, '3 passed, 1 failed'],
  ])('of CI reads in the last line what happened, a file that does not load included: %j', (results, line) => {
    const reporter = path.join(projectFolder, 'test', 'support', 'closing-line.mjs');
    const program = `const { default: Reporter } = await import(${JSON.stringify(reporter)}); new Reporter().onRunComplete(null, ${JSON.stringify(results)}); process.on('exit', () => undefined); console.log('what comes after');`;
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })).toBe(`what comes after\n\n${line}\n`);
  });

  test('of types refuses a program that does not fit', () => {
    write('package.json', '{ "type": "module" }');
    write('tsconfig.json', JSON.stringify({ extends: path.join(projectFolder, 'tsconfig.json'), compilerOptions: { types: [] }, include: ['*.ts'] }));
    write('one.ts', 'export const one: number = 1;\n');
    expect(checkTypes(folder)).toEqual({ passed: true, output: '' });
    write('two.ts', `export const two: number = 'two';\n`);
    expect(checkTypes(folder)).toEqual({ passed: false, output: expect.stringContaining('two.ts(1,14): error TS2322') });
  });

  test('of the linter refuses a promise that nobody waits for', () => {
    symlinkSync(path.join(projectFolder, '.oxlintrc.json'), path.join(folder, '.oxlintrc.json'));
    write('package.json', '{ "type": "module" }');
    write('tsconfig.json', JSON.stringify({ extends: path.join(projectFolder, 'tsconfig.json'), compilerOptions: { types: [] }, include: ['*.ts'] }));
    write('one.ts', 'export async function later(): Promise<void> {\n  await Promise.resolve();\n}\n');
    expect(lint(folder)).toMatchObject({ passed: true });
    write('two.ts', `import { later } from './one.ts';\n\nexport function now(): void {\n  later();\n}\n`);
    expect(lint(folder)).toEqual({ passed: false, output: expect.stringContaining('no-floating-promises') });
  });
});
