/** Errors that end a request outside of GraphQL's execution, in GraphQL's own form: `{errors: [{message, extensions: {code, ...}}]}`. */
import { isNativeError } from 'node:util/types';
import { AgentFlowError, errorRegistry, type ErrorCode } from '../errors.ts';
import { publicErrorOf } from './errors.ts';

export interface ErrorBody {
  errors: { message: string; extensions: Record<string, unknown> & { code: ErrorCode } }[];
}

/** Anything not registered is told to `onUnexpected` and shown as INTERNAL. */
function errorBody(error: unknown, onUnexpected: (error: unknown) => void, requestId: string | undefined): ErrorBody {
  const shown = publicErrorOf(error) ?? fromExpress(error);
  if (shown) return { errors: [{ message: shown.message, extensions: { code: shown.code, ...shown.extensions } }] };
  onUnexpected(error);
  const { summary, remedy } = errorRegistry.INTERNAL;
  return { errors: [{ message: summary, extensions: { code: 'INTERNAL', remedy, requestId } }] };
}

/** HTTP status of the first error. */
export function statusOf(body: ErrorBody): number {
  return errorRegistry[body.errors[0]?.extensions.code ?? 'INTERNAL'].httpStatus;
}

/** Of an answer that says when to come again: RATE_LIMITED knows it; who tried too many passwords waits for a new quarter of an hour. */
function retryAfterOf({ errors: [error] }: ErrorBody): string | undefined {
  const seconds = error?.extensions['retryAfter'];
  if (typeof seconds === 'number') return String(seconds);
  return error?.extensions.code === 'UNAVAILABLE' ? '2' : undefined;
}

export interface Refusal {
  statusCode: number;
  headers: Record<string, string>;
  json: ErrorBody;
}

/** An error as an answer. Anything not registered is told to `onUnexpected` and shown as INTERNAL. */
export function refusalOf(error: unknown, onUnexpected: (error: unknown) => void, requestId: string | undefined): Refusal {
  const json = errorBody(error, onUnexpected, requestId);
  const statusCode = error instanceof HttpError ? error.status : statusOf(json);
  const retryAfter = retryAfterOf(json);
  return {
    statusCode, json,
    headers: { 'content-type': 'application/json; charset=utf-8', ...(statusCode === 401 ? { 'www-authenticate': 'Bearer' } : null), ...(retryAfter === undefined ? null : { 'retry-after': retryAfter }) },
  };
}

/** A request that HTTP itself has a more exact status for than its code has. */
export class HttpError extends AgentFlowError {
  readonly status: number;

  constructor(status: number, code: ErrorCode, message: string, remedy: string) {
    super(code, message, { remedy });
    this.status = status;
  }
}

interface ParserFault {
  code: ErrorCode;
  message: string;
  remedy: string;
}

/** The kinds of errors that express's JSON parser throws. */
const parserFaults: Record<string, ParserFault> = {
  'entity.too.large': { code: 'TOO_LARGE', message: 'The request body is larger than 3 MiB.', remedy: 'Send less.' },
  'entity.parse.failed': { code: 'BAD_REQUEST', message: 'The request body is not valid JSON.', remedy: 'Send {"query": "...", "variables": {...}} as JSON.' },
  'encoding.unsupported': { code: 'BAD_REQUEST', message: 'The content encoding is not supported.', remedy: 'Send the body as it is, or with gzip.' },
  'charset.unsupported': { code: 'BAD_REQUEST', message: 'The character set is not supported.', remedy: 'Send UTF-8.' },
  'request.aborted': { code: 'BAD_REQUEST', message: 'The request ended before its body was complete.', remedy: 'Send it again.' },
  'request.size.invalid': { code: 'BAD_REQUEST', message: 'The body is not as long as Content-Length says.', remedy: 'Send it again.' },
};

const badAddress: ParserFault = { code: 'BAD_REQUEST', message: 'The address is not percent-encoded UTF-8.', remedy: 'Encode the parts of the address.' };
const notCompressedAsSaid: ParserFault = { code: 'BAD_REQUEST', message: 'The request body is not compressed as Content-Encoding says.', remedy: 'Send the body as it is, or with gzip.' };

/** What express throws when it reads a request. */
function fromExpress(error: unknown): { code: ErrorCode; message: string; extensions: Record<string, unknown> } | undefined {
  if (!isNativeError(error)) return undefined;
  const fault = error.name === 'URIError' ? badAddress : parserFaultOf(error);
  return fault && { code: fault.code, message: fault.message, extensions: { remedy: fault.remedy } };
}

/** The parser passes on what zlib throws as it is: a code and no type. */
function parserFaultOf(error: Error): ParserFault | undefined {
  if ('type' in error && typeof error.type === 'string') return parserFaults[error.type];
  return 'code' in error && typeof error.code === 'string' && /^(Z_|ERR_(_ERROR_FORMAT|BROTLI|ZSTD|ZLIB))/.test(error.code) ? notCompressedAsSaid : undefined;
}
