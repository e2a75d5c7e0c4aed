/** Puts the problems of a JSON Schema into the words and places of a document. */
import { AgentFlowError } from '../errors.ts';
import { isObject, setOwn } from './json.ts';
import { schemaProblems, type SchemaProblem } from './schema.ts';
import type { Report } from './report.ts';
import type { Json, JsonObject } from './types.ts';

export interface Place {
  /** Field of the value itself. */
  field: string;
  /** Canonical key -> key as sent, for the first step of a path. */
  sentAs?: Map<string, string>;
  nodeId?: string | null;
}

/** E002 for what is missing, E003 for the rest. Null counts as absent. `skip` holds canonical first keys that were dealt with elsewhere. */
export function checkBySchema(value: JsonObject, schema: JsonObject, place: Place, report: Report, skip: ReadonlySet<string> = new Set()): void {
  for (const problem of problemsOf(withoutNulls(value), schema)) {
    if (skip.has(problem.path[0] ?? '')) continue;
    report.at(problem.keyword === 'required' ? 'E002' : 'E003', fieldOf(problem, place), problem.message, place.nodeId ?? null);
  }
}

function problemsOf(value: JsonObject, schema: JsonObject): SchemaProblem[] {
  try {
    return schemaProblems(value, schema);
  } catch (error) {
    if (error instanceof AgentFlowError) return [{ path: [], keyword: 'size', message: 'is too large to be checked' }];
    throw error;
  }
}

/** Unknown keys become W002. */
export function warnUnknownKeys(value: JsonObject, known: ReadonlySet<string>, place: Place, report: Report): void {
  for (const key of Object.keys(value)) {
    if (!known.has(key)) report.at('W002', `${place.field}.${place.sentAs?.get(key) ?? key}`, 'is not a known key; it is kept and means nothing', place.nodeId ?? null);
  }
}

function fieldOf(problem: SchemaProblem, { field, sentAs }: Place): string {
  const [first, ...rest] = problem.path;
  return first === undefined ? field : [field, sentAs?.get(first) ?? first, ...rest].join('.');
}

export function withoutNulls(value: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, entry] of Object.entries(value)) if (entry !== null) setOwn(result, key, stripped(entry));
  return result;
}

function stripped(value: Json): Json {
  if (Array.isArray(value)) return value.map(stripped);
  return isObject(value) ? withoutNulls(value) : value;
}
