/** The command line: `agentflow <room> <command>`. One command a file; this one only names them. */
import { Command, CommanderError } from 'commander';
import { exitCodeHelp, exitCodes } from './context.ts';
import { dbCommands } from './db/index.ts';
import { doctorCommand } from './doctor.ts';
import { executionCommands } from './execution/index.ts';
import { flowCommands } from './flow/index.ts';
import { secretCommands } from './secret/index.ts';
import { keyCommands } from './key.ts';
import { serverCommand } from './server.ts';
import { startCommand } from './start.ts';
import { tenantCommands } from './tenant.ts';
import { userCommands } from './user.ts';
import { workerCommand } from './worker.ts';
import { workflowCommands } from './workflow/index.ts';
import { verifyCommand } from './verify.ts';
import { version } from './version.ts';

/** In the order of the help. Each is loaded when it is asked for, since what a room stands on can take long to load. */
const rooms: Record<string, () => Promise<Command>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  server: async () => (await import('./server.ts')).serverCommand(),
  worker: async () => (await import('./worker.ts')).workerCommand(),
  workflow: async () => (await import('./workflow/index.ts')).workflowCommands(),
  execution: async () => (await import('./execution/index.ts')).executionCommands(),
  flow: async () => (await import('./flow/index.ts')).flowCommands(),
  secret: async () => (await import('./secret/index.ts')).secretCommands(),
  tenant: async () => (await import('./tenant.ts')).tenantCommands(),
  user: async () => (await import('./user.ts')).userCommands(),
  key: async () => (await import('./key.ts')).keyCommands(),
  audit: async () => (await import('./audit.ts')).auditCommands(),
  db: async () => (await import('./db/index.ts')).dbCommands(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
};

// Who reads our answer may stop reading (agentflow ... | head): that is no fault of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

prepare(program);
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}

/** Every command takes --json, and a wrong call is never taken for a failure of the work. */
function prepare(command: Command): void {
  command.exitOverride().showHelpAfterError(true);
  if (command.commands.length === 0) command.option('--json', 'answer in JSON');
  for (const part of command.commands) prepare(part);
}
