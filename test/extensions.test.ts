import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { extensionFolders, modulesIn } from '../src/extensions.ts';
import { loadNodeTypes } from '../src/nodes/load.ts';

let folder: string;
beforeEach(() => { folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-extensions-')); });
afterEach(() => rmSync(folder, { recursive: true }));

const write = (file: string, content: unknown): void => {
  mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  writeFileSync(path.join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
};
const named = (extensions: unknown): void => write('package.json', { agentflow: { extensions } });

describe('extensions', () => {
  test('are none without a package.json, or without a word in it', () => {
    expect(extensionFolders(folder)).toEqual([]);
    write('package.json', {});
    expect(extensionFolders(folder)).toEqual([]);
  });

  test('are folders and installed packages, in the order named', () => {
    named(['a-package', './mine', '@scope/other']);
    for (const name of ['a-package', '@scope/other']) write(`node_modules/${name}/package.json`, { name, exports: { './only-this': './x.js' } });
    mkdirSync(path.join(folder, 'mine'));
    expect(extensionFolders(folder).map((found) => path.relative(folder, found))).toEqual(['node_modules/a-package', 'mine', 'node_modules/@scope/other']);
  });

  test('that are not there are all named', () => {
    named(['./nowhere', 'not-installed']);
    expect(() => extensionFolders(folder)).toThrow(expect.objectContaining({ code: 'EXTENSION_INVALID', message: expect.stringMatching(/folder \.\/nowhere does not exist[\s\S]*package not-installed is not installed/) }));
  });

  test.each([['"agentflow": [', 'no JSON'], ['{"agentflow": {"extensions": "./mine"}}', 'must be a list'], ['{"agentflow": {"extensions": [1]}}', 'must be a list']])('named by %s are refused', (content, message) => {
    write('package.json', content);
    expect(() => extensionFolders(folder)).toThrow(message);
  });

  test('hold modules: no tests, no types, nothing hidden', () => {
    for (const name of ['b.ts', 'a.js', 'c.mjs', 'a.test.ts', 'types.d.ts', '_draft.ts', '.hidden.js', 'readme.md']) write(`nodes/${name}`, '');
    expect(modulesIn(path.join(folder, 'nodes')).map((file) => path.basename(file))).toEqual(['a.js', 'b.ts', 'c.mjs']);
    expect(modulesIn(path.join(folder, 'tasks'))).toEqual([]);
  });
});

describe('node types of a folder and of extensions', () => {
  const type = (name: string, more = ''): string => `export const it = { type: '${name}', summary: 'Does it.', run: () => ({ kind: 'done', output: 1 })${more} };`;

  test('are what modules export; what they do not say has defaults', async () => {
    named(['.']);
    write('own/one.mjs', type('one'));
    write('own/helper.mjs', 'export const help = () => 1; export const constant = { type: 1 };');
    write('nodes/two.mjs', type('two', `, sourceKind: 'llm', sourceRequired: true`));
    const types = await loadNodeTypes(path.join(folder, 'own'), folder);
    expect(types.map(({ type: name, sourceKind, sourceRequired }) => ({ name, sourceKind, sourceRequired }))).toEqual([
      { name: 'one', sourceKind: null, sourceRequired: false }, { name: 'two', sourceKind: 'llm', sourceRequired: true },
    ]);
    expect(types[0]!.defaultOutputKey({})).toBe('one_result');
    expect(types[0]!.hasEffect({})).toBe(true);
  });

  test('are refused with everything that is wrong about all of them', async () => {
    named(['.']);
    write('own/one.mjs', type('one'));
    write('nodes/again.mjs', type('one'));
    write('nodes/source.mjs', type('needy', ', sourceRequired: true'));
    write('nodes/kind.mjs', type('kinky', `, sourceKind: 'ftp'`));
    write('nodes/throws.mjs', `throw new Error('not today');`);
    const loaded = loadNodeTypes(path.join(folder, 'own'), folder);
    await expect(loaded).rejects.toMatchObject({ code: 'EXTENSION_INVALID', details: { problems: expect.arrayContaining([
      expect.stringMatching(/throws\.mjs cannot be loaded: not today/), expect.stringMatching(/kind\.mjs: .* kinky must have llm, image, db, api or null/),
      expect.stringMatching(/source\.mjs: .* needy asks for a source/), 'the node type one is there twice: choose another name',
    ]) } });
  });
});
