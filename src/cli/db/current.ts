import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { migrationHistory } from '../../schema/history.ts';
import { migrationsFolder } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { onDatabase } from './work.ts';

export function currentCommand(): Command {
  return new Command('current')
    .description('Show the last migration that the database has.')
    .action(action((context) => onDatabase(context, async (database) => {
      const history = await withClient(database.databaseUrl, (client) => migrationHistory(client, migrationsFolder));
      const last = history.findLast(({ appliedAt }) => appliedAt !== null) ?? null;
      context.answer(last, last ? `${last.filename}  ${last.appliedAt}${last.message ? `  ${last.message}` : ''}` : 'The database has no migration.');
    })));
}
