/** The published JSON Schema says of a document what validation says, as far as a schema can. */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { validateSpec, type Problem } from '../../src/engine/index.ts';
import { workflowSchema } from '../../src/engine/workflow-schema.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { breakages, broken, documents, type Json } from '../sql/support/documents.ts';

const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allowUnionTypes: true, allErrors: true });
const accepts = ajv.compile(workflowSchema(nodeTypes));

const folder = new URL('../cases/validation/', import.meta.url);
const specs = readdirSync(folder).map((file): [string, Json] => [file, (JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as { spec: Json }).spec]);

/** Errors whose rule a schema can say. Beyond it: references, rings, whole sizes, what a parser reads, and what one node type asks for by a rule of its own. */
function canBeSaid({ code, field, message }: Problem): boolean {
  if (!['E001', 'E002', 'E003', 'E004', 'E014'].includes(code)) return false;
  if (code === 'E001' && field === null) return !/bytes large|levels deep/.test(message);
  if (code === 'E014') return !/of type (router|aggregator)/.test(message);
  return !/is no expression|is refused: Invalid SQL|is no RE2 pattern|is no usable JSON Schema|stands beside|is missing: (a transform|a delay|the strategy|name the workflow|response_format)/.test(message);
}

function disagreement(spec: Json): string | null {
  const { errors } = validateSpec(spec, { nodeTypes });
  const said = errors.filter(canBeSaid);
  if (accepts(spec)) return said.length === 0 ? null : `accepted in spite of ${said.map(({ message }) => message).join('; ')}`;
  const shapes = errors.filter(({ code }) => /^E00[1-4]$|^E014$/.test(code));
  return shapes.length > 0 ? null : `refused: ${JSON.stringify(accepts.errors?.slice(0, 3))}`;
}

describe('the schema of workflows', () => {
  test.each(specs)('agrees with validation about %s', (_file, spec) => {
    expect(disagreement(spec)).toBeNull();
  });

  test('agrees about generated documents', () => {
    fc.assert(fc.property(documents, (spec) => {
      expect(disagreement(spec)).toBeNull();
    }), { seed: 20251207, numRuns: 1_000 });
  });

  test('agrees about documents that were broken at some places', () => {
    fc.assert(fc.property(fc.constantFrom(...specs.map(([, spec]) => spec)), breakages, (spec, breaks) => {
      expect(disagreement(breaks.reduce(broken, spec))).toBeNull();
    }), { seed: 20251207, numRuns: 1_000 });
  });

  test.each(nodeTypes.map(({ type, example }) => [type, example] as const))('accepts the example of %s', (type, example) => {
    expect(disagreement({ nodes: [{ id: 'one', type, metadata: example }], start_node: 'one', sources: [] })).toBeNull();
    expect(accepts({ nodes: [{ id: 'one', type, metadata: example }], start_node: 'one' })).toBe(true);
  });

  /** Alone in its document, so that nothing else can be what is refused. */
  test.each<[string, object]>([
    ['a reserved id', { nodes: [{ id: 'constructor', type: 'input' }], start_node: 'constructor' }],
    ['a secret deep in a source', { nodes: [{ id: 'one', type: 'input' }], start_node: 'one', sources: [{ id: 's', kind: 'api', config: { many: [{ 'X-Api-Key': 'k' }] } }] }],
    ['a secret in a header', { nodes: [{ id: 'one', type: 'api', metadata: { source: 's', headers: { Authorization: 'Bearer k' } } }], start_node: 'one', sources: [{ id: 's', kind: 'api' }] }],
    ['a method that is none', { nodes: [{ id: 'one', type: 'api', metadata: { source: 's', method: 'FETCH' } }], start_node: 'one', sources: [{ id: 's', kind: 'api' }] }],
    ['a wrong value under the other name', { nodes: [{ id: 'one', type: 'input', metadata: { validate: { min_length: -1 } } }], start_node: 'one' }],
    ['a blank condition', { nodes: [{ id: 'one', type: 'input' }], start_node: 'one', edges: [{ from: 'one', to: 'end', condition: ' ' }] }],
    ['a limit of nothing', { nodes: [{ id: 'one', type: 'input' }], start_node: 'one', limits: { max_cost: 0 } }],
  ])('refuses %s', (_what, spec) => {
    expect(validateSpec(spec, { nodeTypes }).errors).toHaveLength(1);
    expect(accepts(spec)).toBe(false);
  });

  test('accepts a header that is filled from the state, and a method in lower case', () => {
    const node = { id: 'one', type: 'api', metadata: { source: 's', method: 'get', headers: { Authorization: 'Bearer {given}' } } };
    expect(accepts({ nodes: [node], start_node: 'one', sources: [{ id: 's', kind: 'api' }] })).toBe(true);
  });

  test('may be named in a document', () => {
    const spec = { $schema: './workflow.schema.json', nodes: [{ id: 'one', type: 'input' }], start_node: 'one' };
    expect(validateSpec(spec, { nodeTypes })).toEqual({ valid: true, errors: [], warnings: [] });
    expect(accepts(spec)).toBe(true);
  });
});
