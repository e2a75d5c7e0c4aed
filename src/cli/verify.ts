import { Command } from 'commander';
import { withClient } from '../schema/connection.ts';
import { migrationsFolder } from '../schema/migrate.ts';
import { verifyDatabase } from '../schema/verify.ts';
import { action, exitCodes } from './context.ts';
import { onDatabase } from './db/work.ts';

export function verifyCommand(): Command {
  return new Command('verify')
    .description('Does what is in the database hold together: migrations, roles, settings, schema, references, checks, invariants, and the chain over the audit log? Writes nothing but seals of that chain. Exit code 1 when something does not.')
    .action(action((context) => onDatabase(context, async (database) => {
      const checks = await withClient(database.databaseUrl, (client) => verifyDatabase(client, migrationsFolder));
      const holds = checks.every(({ problems }) => problems.length === 0);
      const lines = checks.flatMap(({ name, problems, unsealed = 0 }) => [`${problems.length === 0 ? 'holds ' : 'BROKEN'}  ${name}${unsealed === 0 ? '' : ` (${unsealed} rows wait for a seal)`}`, ...problems.map((problem) => `          ${problem}`)]);
      context.answer({ holds, checks }, lines.join('\n'));
      return holds ? exitCodes.ok : exitCodes.failure;
    })));
}
