import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { loadSelectChecker, validateSpec } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { generatedPages } from '../support/generated-pages.ts';

const page = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test.each(generatedPages())('docs/%s is what the code says (write it by: node test/tools/write-docs.ts)', (name, content) => {
  expect(page(name)).toBe(content);
});

test('the workflow shown to users is valid, without a warning', async () => {
  const [, example = ''] = /```json\n([\s\S]*?)```/.exec(page('workflows.md')) ?? [];
  expect(validateSpec(JSON.parse(example), { nodeTypes, checkSelect: await loadSelectChecker() })).toEqual({ valid: true, errors: [], warnings: [] });
});
