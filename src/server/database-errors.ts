/** What node-postgres throws, told apart: errors that PostgreSQL reported, and connections that failed. */
import { isNativeError } from 'node:util/types';
import type { ConstraintRow } from '../store/constraints.ts';

export interface DatabaseError extends Error {
  /** SQLSTATE. */
  code: string;
  detail?: string;
  hint?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
}

const sqlstateShape = /^[0-9A-Z]{5}$/;
const networkCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN']);
const connectionMessages = /Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end/;

/** SQLSTATEs that say "not now": the server stops, starts, is full (disk, memory, connections), or is only a standby. */
const notNow = new Set(['57P01', '57P02', '57P03', '53100', '53200', '53300', '53400', '40001', '40P01', '25006']);

export function isDatabaseError(error: unknown): error is DatabaseError {
  return isNativeError(error) && 'severity' in error && 'code' in error && typeof error.code === 'string' && sqlstateShape.test(error.code);
}

/** The database cannot be used at the moment; the same request may succeed in a few seconds. */
export function isConnectionFailure(error: unknown): boolean {
  if (!isNativeError(error)) return false;
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.some(isConnectionFailure);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return networkCodes.has(code) || notNow.has(code) || code.startsWith('08') || connectionMessages.test(error.message);
}

/** What can be told of a constraint that refused something. */
export interface ConstraintFacts {
  /** The first column that is not the tenant's. */
  column: string | undefined;
  /** What it asks for, in words. */
  rule: string | null;
}

export type ConstraintBook = ReadonlyMap<string, ConstraintFacts>;

export function constraintBookOf(rows: readonly ConstraintRow[]): ConstraintBook {
  return new Map(rows.map(({ name, columns, description }) =>
    [name, { column: columns.find((column) => column !== 'tenant_id') ?? columns[0], rule: description }]));
}
