/** The command line: `agentflow <room> <command>`. One command a file; this one only names them. */
import { Command, CommanderError } from 'commander';
import { exitCodeHelp, exitCodes } from './context.ts';
import { version } from './version.ts';

/** In the order of the help. Each is loaded when it is asked for, since what a room stands on can take long to load. */
const rooms: Record<string, () => Promise<Command>> = {
  start: async () => (await import('./start.ts')).startCommand(),
  server: async () => (await import('./server.ts')).serverCommand(),
  worker: async () => (await import('./worker.ts')).workerCommand(),
  workflow: async () => (await import('./workflow/index.ts')).workflowCommands(),
  execution: async () => (await import('./execution/index.ts')).executionCommands(),
  flow: async () => (await import('./flow/index.ts')).flowCommands(),
  price: async () => (await import('./price.ts')).priceCommands(),
  secret: async () => (await import('./secret/index.ts')).secretCommands(),
  tenant: async () => (await import('./tenant.ts')).tenantCommands(),
  user: async () => (await import('./user.ts')).userCommands(),
  key: async () => (await import('./key.ts')).keyCommands(),
  documents: async () => (await import('./documents.ts')).documentsCommands(),
  audit: async () => (await import('./audit.ts')).auditCommands(),
  operator: async () => (await import('./operator.ts')).operatorCommands(),
  db: async () => (await import('./db/index.ts')).dbCommands(),
  doctor: async () => (await import('./doctor.ts')).doctorCommand(),
  verify: async () => (await import('./verify.ts')).verifyCommand(),
};

// Who reads our answer may stop reading (agentflow ... | head): that is no fault of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const program = await programFor(process.argv[2]);
try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}

/** With the room that the first word names, or with all of them: for the help, and to name what is near to a wrong word. */
async function programFor(word: string | undefined): Promise<Command> {
  const room = word !== undefined && Object.hasOwn(rooms, word) ? rooms[word]! : null;
  const commands = await Promise.all((room === null ? Object.values(rooms) : [room]).map((load) => load()));
  const program = new Command('agentflow')
    .description('A PostgreSQL schema that is the source of truth for AI workflows, the API over it, and the worker that runs them.')
    .version(version)
    .addHelpText('after', exitCodeHelp);
  for (const command of commands) program.addCommand(command);
  prepare(program, 'agentflow');
  return program;
}

/** Every command takes --json, and a wrong call is never taken for a failure of the work. */
function prepare(command: Command, words: string): void {
  command.exitOverride().showSuggestionAfterError(true).showHelpAfterError(`How it is called: ${words} --help`);
  if (command.commands.length === 0) command.option('--json', 'answer in JSON');
  for (const part of command.commands) prepare(part, `${words} ${part.name()}`);
}
