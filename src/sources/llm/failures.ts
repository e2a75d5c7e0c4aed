/** Failures of model calls as node errors: which pass by themselves, what people are told, and nothing of the key. */
import { NodeError } from '../../errors.ts';
import type { SourceCall } from '../call.ts';
import { isCutOff, statusError, unreachable } from '../failures.ts';

/** The parts of the AI SDK's errors that are used here. */
interface CallFailure {
  name: string;
  message: string;
  statusCode?: number;
  responseBody?: string;
  responseHeaders?: Record<string, string>;
  cause?: unknown;
  code?: unknown;
}

/** Those of the AI SDK's errors that say that an answer came and could not be read. */
const unreadable = /^AI_(JSONParse|TypeValidation|InvalidResponse|EmptyResponse|NoContent|NoImage)/;

/** `what`: the model in parentheses with a space after it, or nothing. */
export function modelFailure(error: unknown, call: SourceCall, what: string): NodeError {
  const failure = error as CallFailure;
  const said = call.said(saidBy(failure));
  const status = failure.statusCode;
  if (status !== undefined && status >= 300) return statusError({ status, headers: failure.responseHeaders ?? {}, said }, what);
  if (!isCutOff(error) && (status !== undefined || unreadable.test(failure.name))) {
    return new NodeError('SOURCE_FAILED', `${what}gave an answer of another form than expected: ${said}`, { remedy: 'Check provider and base_url: is this the service that is meant?' });
  }
  // The library's other errors say that it cannot send this; asking again changes nothing.
  const isPlain = !isCutOff(error) && failure.name === 'Error' && failure.cause === undefined && failure.code === undefined;
  if (isPlain || (!isCutOff(error) && failure.name.startsWith('AI_') && failure.name !== 'AI_APICallError')) {
    return new NodeError('SOURCE_FAILED', `${what}could not be asked: ${said}`, { remedy: 'Correct model and parameters of the source and of the node.' });
  }
  const { code, message, remedy } = unreachable(error, (text) => call.said(text));
  return new NodeError(code, `${what}${message}`, { transient: true, remedy });
}

function saidBy(failure: CallFailure): string {
  const body = failure.responseBody?.trim() ?? '';
  if (body === '') return failure.message;
  try {
    const { error, message: plain } = JSON.parse(body) as { error?: string | { message?: string }; message?: string };
    const message = typeof error === 'string' ? error : error?.message ?? plain;
    if (typeof message === 'string' && message !== '') return message;
  } catch {
    // Not JSON: the text itself is what was said.
  }
  return body;
}
