/** Built-in answers without any model: the same for the same request, and marked as such. */
import type { Json, JsonObject, LlmRequest } from '../../engine/types.ts';

const mark = '[mock]';
const shownCharacters = 200;

export function mockText(request: LlmRequest, model: string): string {
  const prompt = request.prompt.trim().replace(/\s+/g, ' ');
  const shown = prompt.length > shownCharacters ? `${prompt.slice(0, shownCharacters)}...` : prompt;
  if (request.json === null) return `${mark} ${model} would answer: ${shown}`;
  return JSON.stringify(request.json.schema === null ? { mock: true, answer: shown } : example(request.json.schema, 0));
}

/** A smallest value of that schema, as far as its own words say how it looks. */
function example(schema: JsonObject, depth: number): Json {
  if (schema['const'] !== undefined) return schema['const'];
  if (Array.isArray(schema['enum']) && schema['enum'].length > 0) return schema['enum'][0]!;
  if (schema['default'] !== undefined) return schema['default'];
  for (const key of ['anyOf', 'oneOf', 'allOf'] as const) {
    const choices = schema[key];
    if (Array.isArray(choices) && isObject(choices[0]) && depth < 10) return example(choices[0], depth + 1);
  }
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  if (type === 'object' || isObject(schema['properties'])) return exampleObject(schema, depth);
  if (type === 'array') return exampleList(schema, depth);
  if (type === 'integer' || type === 'number') return typeof schema['minimum'] === 'number' ? schema['minimum'] : 0;
  if (type === 'boolean') return true;
  if (type === 'null') return null;
  return typeof schema['minLength'] === 'number' ? mark.padEnd(schema['minLength'], '.') : mark;
}

function exampleObject(schema: JsonObject, depth: number): JsonObject {
  const properties = isObject(schema['properties']) && depth < 10 ? schema['properties'] : {};
  return Object.fromEntries(Object.entries(properties).map(([key, part]) => [key, isObject(part) ? example(part, depth + 1) : null]));
}

function exampleList(schema: JsonObject, depth: number): Json[] {
  const count = typeof schema['minItems'] === 'number' ? Math.min(schema['minItems'], 100) : 0;
  const items = isObject(schema['items']) ? schema['items'] : {};
  return Array.from({ length: count }, () => (depth < 10 ? example(items, depth + 1) : null));
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
