/**
 * What clients learn of an error: `message` and `extensions { code, field?, constraint?, remedy?, problems?, requestId? }`, always from
 * the registry. Whatever is not registered becomes INTERNAL with the request's id, and the whole of it goes to the log.
 */
import { isNativeError } from 'node:util/types';
import { isSafeError } from 'postgraphile/grafast';
import { GraphQLError, Kind } from 'postgraphile/graphql';
import { AgentFlowError, errorRegistry, type ErrorCode } from '../errors.ts';
import { type ConstraintBook, type DatabaseError, isConnectionFailure, isDatabaseError } from './database-errors.ts';
import { currentScope } from './scope.ts';

export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface PublicError {
  code: ErrorCode;
  message: string;
  extensions: Record<string, unknown>;
}

const codeBySqlstate = new Map<string, ErrorCode>(
  Object.entries(errorRegistry).flatMap(([code, { sqlstate }]) => (sqlstate === null ? [] : [[sqlstate, code as ErrorCode]])));

/** SQLSTATEs of class 22 whose message repeats nothing but the value that the client itself sent. */
const echoesOnlyInput = new Set(['22001', '22003', '22007', '22008', '22009', '22P02', '22021']);

const noConstraints: ConstraintBook = new Map();
export const unstorableText = 'A text in the value contains what cannot be stored: the character NUL, or half of a surrogate pair.';

/** Turns anything thrown into what may be shown. `undefined` means: not registered, mask it. */
export function publicErrorOf(error: unknown, constraints: ConstraintBook = noConstraints): PublicError | undefined {
  if (error instanceof AgentFlowError) return fromAgentFlow(error);
  if (isDatabaseError(error)) return fromDatabase(error, constraints);
  if (isConnectionFailure(error)) return plain('UNAVAILABLE');
  if (isNativeError(error) && isSafeError(error)) {
    return { code: 'BAD_REQUEST', message: error.message, extensions: { remedy: errorRegistry.BAD_REQUEST.remedy } };
  }
  return undefined;
}

function plain(code: ErrorCode, extensions: Record<string, unknown> = {}): PublicError {
  const { summary, remedy } = errorRegistry[code];
  return { code, message: summary, extensions: { remedy, ...extensions } };
}

function fromAgentFlow(error: AgentFlowError): PublicError | undefined {
  if (!errorRegistry[error.code].isPublic) return undefined;
  return { code: error.code, message: error.message, extensions: { ...error.details, remedy: error.remedy } };
}

function fromDatabase(error: DatabaseError, constraints: ConstraintBook): PublicError | undefined {
  const { code: sqlstate } = error;
  const registered = codeBySqlstate.get(sqlstate);
  if (sqlstate.startsWith('AF') && registered) return fromRaised(registered, error);
  if (sqlstate === '42501') return isVisitor() ? plain('UNAUTHENTICATED') : fromRefusedRow(error);
  if (registered) return fromConstraint(registered, error, constraints);
  if (sqlstate.startsWith('22')) return fromBadValue(error);
  if (isConnectionFailure(error)) return plain('UNAVAILABLE');
  if (sqlstate.startsWith('54')) return plain('LIMIT_EXCEEDED');
  return undefined;
}

/** What `app_private.fail` raised: message, hint, column and detail are made for clients. */
function fromRaised(code: ErrorCode, error: DatabaseError): PublicError {
  const problems = problemsIn(error.detail);
  return {
    code,
    message: error.message,
    extensions: {
      remedy: error.hint || errorRegistry[code].remedy,
      ...(error.column ? { field: toCamelCase(error.column) } : null),
      ...problems,
    },
  };
}

/** PostgreSQL's own words name values and rows; the constraint's comment, and the registry, do not. */
function fromConstraint(code: ErrorCode, error: DatabaseError, constraints: ConstraintBook): PublicError {
  const facts = error.constraint ? constraints.get(error.constraint) : undefined;
  const field = error.column || facts?.column;
  const shown = plain(code, {
    ...(field ? { field: toCamelCase(field) } : null),
    ...(error.constraint ? { constraint: error.constraint } : null),
  });
  return { ...shown, message: facts?.rule ?? shown.message };
}

/** What a new row of these tables takes: a policy that refuses one tells no reason. */
const rightsToAdd: Readonly<Record<string, string>> = {
  workflows: 'workflows:write: role developer or higher', sources: 'sources:write: role architect or higher', flows: 'flows:write: role developer or higher',
};

function fromRefusedRow({ message }: DatabaseError): PublicError {
  const right = rightsToAdd[/^new row violates row-level security policy for table "(\w+)"$/.exec(message)?.[1] ?? ''];
  const shown = plain('PERMISSION_DENIED');
  if (right === undefined) return shown;
  const byKey = currentScope()?.identity.kind === 'key' ? ', and an API key with that permission' : '';
  return { ...shown, message: `This needs the right ${right}${byKey}.` };
}

/** How values of a type are written, by how PostgreSQL's message begins or ends. */
const spellings: readonly [RegExp, string][] = [
  [/timestamp|date\/time|time zone|type date/, 'Write a time in ISO 8601: 2026-01-31T12:00:00Z.'],
  [/bigint/, 'Write a whole number from -9223372036854775808 to 9223372036854775807.'],
  [/type integer|type smallint/, 'Write a whole number from -2147483648 to 2147483647.'],
  [/numeric|double precision/, 'Write a decimal number.'],
  [/type uuid/, 'Write 32 hexadecimal digits, with hyphens or without.'],
];

function remedyFor({ code, message }: DatabaseError): string {
  if (code === '22001') return `Shorten it to ${/\((\d+)\)/.exec(message)?.[1] ?? 'fewer'} characters.`;
  // From the first words on: the value that is quoted may hold anything.
  const words = message.replace(/"[^]*"/, '');
  return spellings.find(([pattern]) => pattern.test(words))?.[1] ?? errorRegistry.INVALID_VALUE.remedy;
}

function fromBadValue(error: DatabaseError): PublicError {
  const shown = plain('INVALID_VALUE', { remedy: remedyFor(error), ...(error.column ? { field: toCamelCase(error.column) } : null) });
  // What we send as JSON is well-formed, but for characters that jsonb does not take.
  const isText = error.code === '22P05' || error.code === '22021' || (error.code === '22P02' && /type jsonb?$/.test(error.message));
  if (isText) return { ...shown, message: unstorableText, extensions: { ...shown.extensions, remedy: 'Leave it out.' } };
  if (error.code === '22001') return { ...shown, message: 'A text is longer than what fits.' };
  return echoesOnlyInput.has(error.code) ? { ...shown, message: error.message } : shown;
}

/** `fail` gives details as JSON: a list of problems, or an object that is merged into the extensions. */
function problemsIn(detail: string | undefined): Record<string, unknown> | null {
  if (!detail) return null;
  try {
    const parsed: unknown = JSON.parse(detail);
    if (Array.isArray(parsed)) return { problems: parsed.map(camelCaseKeys) };
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { errors, ...rest } = parsed as Record<string, unknown>;
    return { ...(Array.isArray(errors) ? { problems: errors.map(camelCaseKeys) } : null), ...(camelCaseKeys(rest) as object) };
  } catch {
    // Text, not JSON: it was written by PostgreSQL and may name rows.
    return null;
  }
}

function camelCaseKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [toCamelCase(key), entry]));
}

/** Only plain column names are changed; paths such as `nodes.0.start_node` stay as they are in the document. */
function toCamelCase(name: string): string {
  return name.includes('.') ? name : name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function isVisitor(): boolean {
  return currentScope()?.identity.kind === 'visitor';
}

export interface MaskOptions {
  /** What the caller may read of a message of GraphQL's own. */
  wordsFor?: (message: string) => string;
  /** Hears of everything that the caller has no right to. */
  onRefused?: (code: ErrorCode, operation: string) => void;
}

/** The `maskError` of the GraphQL server. */
export function makeErrorMask(log: Log, constraints: ConstraintBook, { wordsFor = (message) => message, onRefused }: MaskOptions = {}): (error: GraphQLError) => GraphQLError {
  return (error) => {
    // Errors about errors: a resolver's error keeps the original at the bottom.
    const original = deepestOriginal(error);
    if (original === null) return withCode(error, { code: badRequestCodeOf(error), message: wordsFor(error.message), extensions: limitOf(error) });
    const shown = publicErrorOf(original, constraints);
    if (shown?.code === 'PERMISSION_DENIED') onRefused?.(shown.code, fieldOf(error));
    if (shown) return withCode(error, shown);
    const requestId = currentScope()?.requestId;
    log.error({ err: original, path: error.path, requestId }, 'An unexpected error was masked');
    return withCode(error, plain('INTERNAL', { requestId }));
  };
}

/** By its name in the schema: in the path stands the alias, of which a client can make as many as it likes. */
function fieldOf({ nodes }: GraphQLError): string {
  const node = nodes?.[0];
  return node?.kind === Kind.FIELD ? node.name.value : '';
}

/** What our limits say of themselves. */
function limitOf({ extensions: { limit, allowed, found } }: GraphQLError): Record<string, unknown> {
  return limit === undefined ? {} : { limit, allowed, found };
}

/** Errors of GraphQL itself may bring their own registered code (limits do); the rest is a malformed request. */
function badRequestCodeOf(error: GraphQLError): ErrorCode {
  const { code } = error.extensions;
  return typeof code === 'string' && code in errorRegistry ? (code as ErrorCode) : 'BAD_REQUEST';
}

function deepestOriginal(error: GraphQLError): unknown {
  let current: unknown = error;
  while (current instanceof GraphQLError) {
    if (current.originalError == null) return null;
    current = current.originalError;
  }
  return current;
}

function withCode(error: GraphQLError, shown: PublicError): GraphQLError {
  const { remedy = errorRegistry[shown.code].remedy, ...rest } = shown.extensions;
  return new GraphQLError(shown.message, {
    nodes: error.nodes,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions: { code: shown.code, remedy, ...rest },
  });
}
