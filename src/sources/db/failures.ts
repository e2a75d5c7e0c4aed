/** What PostgreSQL says, as node errors: which pass by themselves, and what to do about the others. */
import { NodeError } from '../../errors.ts';
import type { SourceCall } from '../call.ts';

interface PostgresFailure {
  code?: string;
  message: string;
}

/** SQLSTATE classes, and codes, of failures that pass by themselves. */
const passing = /^(08|53|57P|40|25P03|55P03)/;

export function dbFailure(error: unknown, call: SourceCall): NodeError {
  const { code = '', message } = error as PostgresFailure;
  const said = call.said(message);
  if (code === '57014') return new NodeError('NODE_TIMEOUT', `the query was cancelled: ${said}.`, { remedy: 'Ask for less, add an index, or raise timeout.' });
  if (code.startsWith('28')) return new NodeError('SOURCE_UNAUTHORIZED', `the database refused the login: ${said}.`, { remedy: 'Check user and password of the connection.' });
  if (code === '42501') return new NodeError('SOURCE_UNAUTHORIZED', `the database refused: ${said}.`, { remedy: 'Grant the right to the user of the connection.' });
  if (code === '3D000') return new NodeError('SOURCE_FAILED', `there is no such database: ${said}.`, { remedy: 'Check the connection.' });
  if (code === '25006') return new NodeError('SOURCE_NOT_ALLOWED', `the query would write, and this source only reads: ${said}.`, { remedy: 'Write a SELECT that only reads; an admin may save the source with read_only: false.' });
  if (passing.test(code)) return new NodeError('SOURCE_UNAVAILABLE', `the database cannot answer now: ${said}.`, { transient: true });
  if (/^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E')) return new NodeError('SOURCE_FAILED', `the query failed (${code}): ${said}.`, { remedy: 'Correct the query, or the values that are bound to it.' });
  // No SQLSTATE: the connection was not made, or broke.
  return new NodeError('SOURCE_UNAVAILABLE', `the database could not be reached: ${said === '' ? code : said}.`, { transient: true, remedy: 'Check host and port of the connection, and that the database runs.' });
}
