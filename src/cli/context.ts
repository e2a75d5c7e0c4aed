/** What every command shares: the environment, the way to answer (text or JSON), and how an error becomes an exit code. */
import type { Command } from 'commander';
import { readConfig, settleLibraries, type Config } from '../config.ts';
import { AgentFlowError, type ErrorCode } from '../errors.ts';
import { createLog, type Log } from '../log.ts';

export const exitCodes = { ok: 0, failure: 1, usage: 2, environment: 3 } as const;

export const exitCodeHelp = `
Exit codes: 0 done, 1 failed or the answer is no, 2 called wrongly, 3 something around it is missing or taken
(environment, port, data folder, database).`;

/** Faults of what AgentFlow stands on, not of what it was asked to do. */
const environmentCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CONFIG_INVALID', 'PORT_IN_USE', 'DATA_DIR_IN_USE', 'DATA_DIR_UNUSABLE', 'DATA_DIR_VERSION', 'EMBEDDED_POSTGRES', 'POSTGRES_UNSUPPORTED',
  'DATABASE_UNREACHABLE', 'DATABASE_BEHIND', 'DATABASE_AHEAD', 'DATABASE_IN_USE', 'ROLE_MISSING', 'EXTENSION_INVALID',
]);

export interface Context {
  config: Config;
  log: Log;
  json: boolean;
  /** The command's answer: `value` with --json, otherwise `text`. */
  answer(value: unknown, text: string): void;
  /** Progress for people; nothing with --json. */
  say(line: string): void;
}

/** Makes a commander action of a function that is handed the context and the command's options. */
export function action<Options extends object>(run: (context: Context, options: Options, ...args: string[]) => Promise<number | void>) {
  return async function act(this: Command): Promise<void> {
    const options = this.optsWithGlobals<Options & { json?: boolean }>();
    const json = options.json === true;
    try {
      process.exitCode = (await run(createContext(json), options, ...this.args)) ?? exitCodes.ok;
    } catch (error) {
      process.exitCode = report(error, json);
    }
  };
}

/** How a command answers, with or without an environment that can be used. */
export type Output = Pick<Context, 'json' | 'answer' | 'say'>;

export function createOutput(json: boolean): Output {
  return {
    json,
    answer: (value, text) => process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${text}\n`),
    say: (line) => (json ? undefined : process.stderr.write(`${line}\n`)),
  };
}

function createContext(json: boolean): Context {
  const config = readConfig();
  settleLibraries(config);
  const log = createLog(config);
  for (const warning of config.warnings) log.warn(warning);
  return { config, log, ...createOutput(json) };
}

/** Tells the error on standard error and returns the exit code for it. */
export function report(error: unknown, json: boolean): number {
  const known = asKnown(error);
  if (known === null) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(json ? `${JSON.stringify({ error: { code: 'INTERNAL', message: String(error) } })}\n` : `${text}\n`);
    return exitCodes.failure;
  }
  const { code, message, remedy, details } = known;
  process.stderr.write(json ? `${JSON.stringify({ error: { code, message, remedy, details } })}\n` : `${code}: ${message}\n  ${remedy}\n`);
  if (code === 'USAGE') return exitCodes.usage;
  return environmentCodes.has(code) ? exitCodes.environment : exitCodes.failure;
}

/** Errors of sockets and of PostgreSQL's connecting say too little by themselves. */
function asKnown(error: unknown): AgentFlowError | null {
  if (error instanceof AgentFlowError) return error;
  // pg gives no code to the end of a connection.
  const { message, code = message?.startsWith('Connection terminated') ? 'ECONNRESET' : undefined } = error as { code?: string; message?: string };
  if (code === undefined) return null;
  const text = message === undefined || message === '' ? code : message;
  if (['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET', 'EAI_AGAIN', '57P03'].includes(code)) {
    return new AgentFlowError('DATABASE_UNREACHABLE', `The database does not answer: ${text}`, { cause: error });
  }
  if (['28P01', '28000', '3D000', '53300'].includes(code)) {
    return new AgentFlowError('DATABASE_UNREACHABLE', `The database refuses the connection: ${text}`, { remedy: 'Check user, password and database in the URL, and the server.', cause: error });
  }
  return null;
}
