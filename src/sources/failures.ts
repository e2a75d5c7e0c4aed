/** Answers of HTTP services that are no answers, as node errors: one code and one remedy for each kind, whatever service it is. */
import { NodeError } from '../errors.ts';

export interface FailedAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  /** What was said, redacted and short. */
  said: string;
}

const passing = new Set([408, 409, 425, 429]);

/** Never for 2xx. `what`: the model, in parentheses and with a space before it, or nothing. */
export function statusError({ status, headers, said }: FailedAnswer, what = ''): NodeError {
  const message = `${what}answered ${status}${said === '' ? '.' : `: ${said}`}`;
  if (status === 401 || status === 403 || status === 407) return new NodeError('SOURCE_UNAUTHORIZED', message);
  if (status === 402) return new NodeError('SOURCE_UNPAID', message);
  if (status === 429) return new NodeError('SOURCE_UNAVAILABLE', message, { transient: true, retryAfterSeconds: retryAfter(headers), details: { status }, remedy: 'It is tried again after the time that the service asks for; put a queue before the node to stay under its limit.' });
  if (passing.has(status) || status >= 500) return new NodeError('SOURCE_UNAVAILABLE', message, { transient: true, retryAfterSeconds: retryAfter(headers), details: { status } });
  return new NodeError('SOURCE_FAILED', message, { remedy: 'Correct the request: model, parameters and address are as the service wants them?' });
}

/** Seconds, from a number or a date; null when nothing (sensible) was said. */
export function retryAfter(headers: Readonly<Record<string, string>>): number | null {
  const milliseconds = Number(headers['retry-after-ms'] ?? NaN);
  if (milliseconds > 0) return milliseconds / 1_000;
  const value = headers['retry-after']?.trim();
  if (value === undefined) return null;
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1_000;
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null;
}

/** A connection that was not made, or broke. `redact` takes secrets out of what is said. */
export function unreachable(error: unknown, redact: (text: string) => string): NodeError {
  return new NodeError('SOURCE_UNAVAILABLE', `could not be reached: ${redact(deepest(error))}`, { transient: true, remedy: 'Check its address, and that it runs; it is tried again by itself.' });
}

/** Did the connection break, before or in the middle of an answer? */
export function isCutOff(error: unknown): boolean {
  for (let current = error as { cause?: unknown; code?: unknown; message?: unknown } | undefined, depth = 0; current && depth < 5; current = current.cause as typeof current, depth += 1) {
    if (current.message === 'terminated' || (typeof current.code === 'string' && /^(UND_ERR_|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET)/.test(current.code))) return true;
  }
  return false;
}

/** "fetch failed" helps nobody: the cause of the cause says what happened. */
function deepest(error: unknown): string {
  let text = '';
  for (let current = error as { cause?: unknown; code?: unknown; message?: unknown } | undefined, depth = 0; current && depth < 5; current = current.cause as typeof current, depth += 1) {
    if (typeof current.message === 'string' && current.message !== '') text = current.message;
    else if (typeof current.code === 'string') text = current.code;
  }
  return text;
}
