/** Failures of model calls as node errors: which pass by themselves, what people are told, and nothing of the key. */
import { NodeError } from '../../errors.ts';
import { refusalIn } from '../guard/fetch.ts';

/** The parts of the AI SDK's errors that are used here. */
interface CallFailure {
  message: string;
  statusCode?: number;
  responseBody?: string;
  responseHeaders?: Record<string, string>;
}

const passingStatus = new Set([408, 409, 425, 429]);
const maxSaid = 500;

export interface FailedCall {
  /** Source, model and node, as people know them. */
  what: string;
  key: string | null;
}

export function asNodeError(error: unknown, { what, key }: FailedCall): NodeError {
  const refusal = refusalIn(error);
  if (refusal !== null) return refusal;
  const failure = error as CallFailure;
  const said = redacted(saidBy(failure), key);
  const status = failure.statusCode;
  if (status === undefined) return withoutStatus(error, what, said);
  const message = `${what} answered ${status}: ${said}`;
  if (passingStatus.has(status) || status >= 500) {
    return new NodeError('SOURCE_UNAVAILABLE', message, { transient: true, retryAfterSeconds: retryAfter(failure.responseHeaders ?? {}) });
  }
  return new NodeError('SOURCE_FAILED', status < 300 ? `${what} gave an answer of another form than expected: ${said}` : message);
}

function withoutStatus(error: unknown, what: string, said: string): NodeError {
  // The AI SDK's other errors say that an answer came and could not be read.
  const isUnreadable = error instanceof Error && /^AI_(JSONParse|TypeValidation|InvalidResponse|EmptyResponse|NoContent)/.test(error.name);
  if (isUnreadable) return new NodeError('SOURCE_FAILED', `${what} gave an answer of another form than expected: ${said}`);
  return new NodeError('SOURCE_UNAVAILABLE', `${what} could not be reached: ${said}`, { transient: true });
}

function saidBy(failure: CallFailure): string {
  const body = failure.responseBody?.trim() ?? '';
  if (body === '') return failure.message;
  try {
    const { error } = JSON.parse(body) as { error?: string | { message?: string } };
    const message = typeof error === 'string' ? error : error?.message;
    if (typeof message === 'string' && message !== '') return message;
  } catch {
    // Not JSON: the text itself is what was said.
  }
  return body;
}

/** Seconds, from a number or a date; null when nothing (sensible) was said. */
export function retryAfter(headers: Record<string, string>): number | null {
  const value = headers['retry-after'];
  if (value === undefined) return null;
  const seconds = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1_000;
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}

/** Providers like to repeat (parts of) the key in what they say. */
function redacted(text: string, key: string | null): string {
  const withoutKey = key === null || key.length < 4 ? text : text.replaceAll(key, '[redacted]');
  return withoutKey.replace(/\b(?:sk|gsk|key|AIza)[-_][\w*.-]{6,}/g, '[redacted]').slice(0, maxSaid);
}
