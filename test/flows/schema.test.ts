/** The JSON Schema of flows and the database refuse the same shapes: both are asked about every case file. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import { flowSchema } from '../../src/engine/flow-schema.ts';

const folder = import.meta.dirname;
const cases = readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => ({
  name, ...JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as { definition: unknown; problems?: [code: string, field: string | null][] },
}));
const accepts = new Ajv2020.default({ allErrors: true }).compile(flowSchema());

/** What a schema can say; that names exist, are told once and go round nowhere it cannot. */
const ofShape: ReadonlySet<string> = new Set(['E001', 'E002', 'E003', 'E017']);
/** Told about the flow's own columns, and not about the document. */
const ofColumns: ReadonlySet<string> = new Set(['refused-columns-disagree.json']);

test.each(cases)('$name', ({ name, definition, problems = [] }) => {
  const refused = !ofColumns.has(name) && problems.some(([code]) => ofShape.has(code));
  expect({ accepted: accepts(definition), errors: refused ? null : accepts.errors }).toEqual({ accepted: !refused, errors: null });
});

test('of a definition that has everything accepts all of it', () => {
  expect(accepts({
    $schema: '../flow.schema.json', id: 'all', name: 'All', description: null, start_task: 'a', timeout_seconds: 60,
    tasks: [{ name: 'a', description: 'first', config: { timeout_seconds: 1.5, any: [{}] } }, { name: 'b', config: null }],
    conditions: [{ name: 'n', description: 'd', source_task: 'a', outcome: 'any', target_task_success: 'b', target_task_failure: 'end' }],
  })).toBe(true);
});
