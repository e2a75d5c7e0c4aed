import { readFileSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadSelectChecker, validateSpec, type Problem, type SourceRow } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';

interface Expected {
  code: string;
  field: string | null;
  nodeId: string | null;
  contains: string[];
}

interface Case {
  about: string;
  spec: unknown;
  sources?: SourceRow[];
  errors: Expected[];
  warnings: Expected[];
}

const folder = new URL('../cases/validation/', import.meta.url);
const cases = readdirSync(folder).map((name): [string, Case] => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Case]);

/** Each problem as one line, with the texts that were asked for in place of the message when they are in it. */
function lines(problems: Problem[], wanted: Expected[]): string[] {
  const pool = [...wanted];
  return problems.map(({ code, field, nodeId, message }) => {
    const at = pool.findIndex((one) => one.code === code && one.field === field && one.nodeId === nodeId && one.contains.every((text) => message.includes(text)));
    const found = at === -1 ? null : pool.splice(at, 1)[0];
    return line({ code, field, nodeId, contains: found?.contains ?? [message] });
  }).sort();
}

function line({ code, field, nodeId, contains }: Expected): string {
  return `${code} ${field ?? '-'} ${nodeId ?? '-'} ${contains.join(' | ')}`;
}

describe('validation cases', () => {
  let checkSelect: (text: string) => string | null;
  beforeAll(async () => {
    checkSelect = await loadSelectChecker();
  });

  test.each(cases)('%s', (_name, { spec, sources, errors, warnings }) => {
    const result = validateSpec(spec, { nodeTypes, sources: sources ?? [], checkSelect });
    expect(lines(result.errors, errors)).toEqual(errors.map(line).sort());
    expect(lines(result.warnings, warnings)).toEqual(warnings.map(line).sort());
    expect(result.valid).toBe(errors.length === 0);
  });

  test('every code of an error is shown by a case', () => {
    const shown = new Set(cases.flatMap(([, { errors }]) => errors.map(({ code }) => code)));
    expect([...shown].sort()).toEqual(Array.from({ length: 14 }, (_, i) => `E${String(i + 1).padStart(3, '0')}`));
  });
});
