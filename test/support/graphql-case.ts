/**
 * Case files `*.test.graphql`: steps, each a GraphQL operation under lines that say who sends it and with what.
 *
 *     #> step: what this shows
 *     #> as: architect                       visitor, key, or a sample user
 *     #> variables: {"id": "{{id}}"}         JSON; {{name}} is a value kept by an earlier step
 *     #> keep: id = createWorkflow.workflow.id
 *
 * What comes back is compared with the file of the same name that ends in `.json`, where ids, times and tokens that differ from run to run
 * are named after the order in which they appear. `UPDATE_ANSWERS=1 npm test -- test/graphql` writes these files; read the difference.
 */
import type { Caller, Data } from './api.ts';

export interface CaseStep {
  step: string;
  as: Caller;
  variables: string;
  keep: { name: string; path: string[] }[];
  query: string;
}

const directive = /^#> (\w+): (.*)$/;

export function parseCase(text: string): CaseStep[] {
  const steps: CaseStep[] = [];
  for (const line of text.split('\n')) {
    const match = directive.exec(line);
    const current = steps.at(-1);
    if (!match) {
      if (current) current.query += `${line}\n`;
      continue;
    }
    const [, name, value] = match as unknown as [string, string, string];
    if (name === 'step') steps.push({ step: value, as: 'visitor', variables: '{}', keep: [], query: '' });
    else if (!current) throw new Error(`"${line}" comes before the first step`);
    else if (name === 'as') current.as = value.trim();
    else if (name === 'variables') current.variables = value;
    else if (name === 'keep') current.keep.push(keepOf(value));
    else throw new Error(`Unknown directive in "${line}"`);
  }
  return steps;
}

function keepOf(value: string): { name: string; path: string[] } {
  const [name, path] = value.split('=').map((part) => part.trim());
  if (!name || !path) throw new Error(`Not of the form "name = path.to.value": ${value}`);
  return { name, path: path.split('.') };
}

export function filled(text: string, kept: ReadonlyMap<string, string>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = kept.get(name);
    if (value === undefined) throw new Error(`No step has kept ${name}`);
    return value;
  });
}

export function valueAt(data: unknown, path: readonly string[]): string {
  const value = path.reduce<Data>((part, key) => part?.[key], data);
  if (typeof value !== 'string') throw new Error(`There is no text at ${path.join('.')}`);
  return value;
}

const changing: [kind: string, pattern: RegExp][] = [
  ['jwt', /\beyJ[\w-]+\.[\w-]+\.[\w-]+/g],
  ['time', /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g],
  ['uuid', /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g],
];

/** Ids of the sample data stand as they are. */
const fixed = /^(?:[0-9a-f]{8}-e29b-41d4-a716-|[12]23e4567-|00000000-)/;

/** Gives each value that differs from run to run a name: `<uuid 1>`, `<time>`. */
export function steadied(answers: unknown): unknown {
  const names = new Map<string, string>();
  let text = JSON.stringify(answers);
  for (const [kind, pattern] of changing) {
    text = text.replace(pattern, (value) => {
      if (kind === 'time') return '<time>';
      if (fixed.test(value)) return value;
      const name = names.get(value) ?? `<${kind} ${[...names.values()].filter((known) => known.startsWith(`<${kind}`)).length + 1}>`;
      names.set(value, name);
      return name;
    });
  }
  return JSON.parse(text);
}
