/** What node-postgres throws, told apart: errors that PostgreSQL reported, and connections that failed. */

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
const connectionMessages = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end/;

/** SQLSTATEs that say "not now": the server stops, starts, is full, or is only a standby. */
const notNow = new Set(['57P01', '57P02', '57P03', '53300', '53400', '40001', '40P01', '25006']);

export function isDatabaseError(error: unknown): error is DatabaseError {
  return error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string' && sqlstateShape.test(error.code);
}

/** The database cannot be used at the moment; the same request may succeed in a few seconds. */
export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isConnectionFailure);
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return networkCodes.has(code) || notNow.has(code) || code.startsWith('08') || connectionMessages.test(error.message);
}

/** Column that a constraint is about, by the naming convention `chk_<table>_<column>`, `fk_<table>_<column>`, `idx_<table>_<columns>`. */
export function fieldOfConstraint(constraint: string, table: string | undefined): string | undefined {
  if (table === undefined) return undefined;
  const subject = new RegExp(`^(?:chk|fk|idx)_${table.replace(/[^a-z0-9_]/g, '')}_(.+)$`).exec(constraint)?.[1];
  return subject?.replace(/^tenant_id_(?=.)/, '');
}
