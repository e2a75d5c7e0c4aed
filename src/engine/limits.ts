/** Bounds of documents and executions, and the document's own `limits` under its defaults. */
import type { Json, Limits } from './types.ts';

/** Bounds of a document; crossing one is E001. */
export const documentBounds = { nodes: 200, edges: 1_000, bytes: 1_048_576, depth: 32 } as const;

/** Deepest nesting of any value that enters a state. */
export const maxValueDepth = 200;

/** Longest text, and largest value, that templates and joins make; a state may hold the same large value under many names. */
export const maxFilledBytes = 4_194_304;

export const defaultLimits: Limits = {
  maxParallelNodes: 5,
  maxNodes: documentBounds.nodes,
  maxTokens: null,
  maxCost: null,
  maxSeconds: 3_600,
  maxStateBytes: 1_048_576,
  maxOutputBytes: 1_048_576,
};

/** Key in a document's `limits` -> field of Limits. */
export const limitKeys = {
  max_parallel_nodes: 'maxParallelNodes',
  max_nodes: 'maxNodes',
  max_tokens: 'maxTokens',
  max_cost: 'maxCost',
  max_seconds: 'maxSeconds',
  max_state_bytes: 'maxStateBytes',
  max_output_bytes: 'maxOutputBytes',
} as const satisfies Record<string, keyof Limits>;

/** The limits that hold: what the document asks for where it is a positive number, the defaults elsewhere. */
export function limitsOf(given: Json | undefined): Limits {
  const limits: Limits = { ...defaultLimits };
  if (given === null || typeof given !== 'object' || Array.isArray(given)) return limits;
  for (const [key, field] of Object.entries(limitKeys)) {
    const value = given[key];
    if (typeof value === 'number' && value > 0) limits[field] = value;
  }
  limits.maxParallelNodes = Math.max(1, Math.floor(limits.maxParallelNodes));
  return limits;
}

/** The tighter of two sets of limits, field by field: a tenant's caps over a document's wishes. */
export function cappedLimits(limits: Limits, caps: Partial<Limits>): Limits {
  const result: Limits = { ...limits };
  for (const field of Object.values(limitKeys)) {
    const cap = caps[field];
    if (cap === undefined || cap === null) continue;
    const own = result[field];
    result[field] = own === null ? cap : Math.min(own, cap);
  }
  return result;
}
