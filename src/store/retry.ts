/** Which failures of a statement pass by themselves: PostgreSQL restarts, connections break, transactions collide. */
import { errorRegistry } from '../errors.ts';

const passingStates = new Set([
  '40001', '40P01', // collisions of transactions
  '53100', '53200', '53300', '55P03', '58030', // disk full, out of memory, too many connections, lock not available, I/O error
  '57P01', '57P02', '57P03', '57P05', // the server stops, crashed, starts, ended an idle session
]);
const passingSystemCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN']);
// The driver gives these no code.
const passingMessages = /connection terminated|query read timeout|timeout exceeded when trying to connect|client has encountered a connection error|not queryable/i;

export function isPassing(error: unknown): boolean {
  // By what it holds and not by its class: errors of Node's own have another one inside a VM context.
  const { code, message, errors } = (error ?? {}) as { code?: unknown; message?: unknown; errors?: unknown };
  if (typeof code === 'string' && code !== '') {
    return passingStates.has(code) || code.startsWith('08') || passingSystemCodes.has(code);
  }
  if (Array.isArray(errors)) return errors.some(isPassing);
  return typeof message === 'string' && passingMessages.test(message);
}

/** The database took this process for dead: nothing can be taken until the session has registered anew. */
export function isUnknownWorker(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === errorRegistry.WORKER_UNKNOWN.sqlstate;
}

const firstDelayMs = 50;
const longestDelayMs = 2_000;

/** Runs `work` until it succeeds or fails for good; between tries it waits 50 ms to 2 s. Stops trying when `signal` is aborted. */
export async function withRetries<T>(work: () => Promise<T>, signal: AbortSignal, onRetry: (error: Error, attempt: number) => void): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      onRetry(error as Error, attempt);
      await pause(Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1)), signal);
    }
  }
}

/** Resolves after `ms`, or at once when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
