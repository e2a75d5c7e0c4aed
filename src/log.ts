/** The log: one line an event on standard error, so that standard output stays for what a command was asked for. */
import { createRequire } from 'node:module';
import pino from 'pino';
import type { PinoPretty } from 'pino-pretty';
import type { Config } from './config.ts';

export type Log = pino.Logger;

/** Values under these names are never written. */
const secretFields = ['password', 'jwt', 'token', 'apiKey', 'key', 'secret', 'authorization'];

export function createLog(config: Pick<Config, 'logLevel' | 'logFormat'>): Log {
  const options: pino.LoggerOptions = {
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: describeError, error: describeError },
    redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  };
  const standardError = pino.destination({ dest: 2, sync: true });
  standardError.on('error', () => undefined); // its reader is gone: nobody to tell, and no reason to stop working
  if (config.logFormat === 'json') return pino(options, standardError);
  // Thirty files, for terminals only.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  const forPeople = pretty({ destination: standardError, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid,hostname' });
  forPeople.on('error', () => undefined);
  return pino(options, forPeople);
}

/** Errors of drivers carry whole connections with them: only what tells of the error itself is written. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, details } = error as Error & { code?: unknown; details?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
