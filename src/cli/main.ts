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

const program = new Command('agentflow')
  .description('A PostgreSQL schema that is the source of truth for AI workflows, the API over it, and the worker that runs them.')
  .version(version)
  .addCommand(startCommand())
  .addCommand(serverCommand())
  .addCommand(workerCommand())
  .addCommand(workflowCommands())
  .addCommand(executionCommands())
  .addCommand(flowCommands())
  .addCommand(secretCommands())
  .addCommand(tenantCommands())
  .addCommand(userCommands())
  .addCommand(keyCommands())
  .addCommand(dbCommands())
  .addCommand(doctorCommand())
  .addCommand(verifyCommand())
  .addHelpText('after', exitCodeHelp);

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
