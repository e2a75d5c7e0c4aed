import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { migrationHistory } from '../../schema/history.ts';
import { hasCurrentMigration, migrationsFolder } from '../../schema/migrate.ts';
import { action, exitCodes } from '../context.ts';
import { onDatabase } from './work.ts';

export function statusCommand(): Command {
  return new Command('status')
    .description('Is the database at the committed migrations, and is there work in current.sql? Exit code 1 when migrations are pending, missing or edited.')
    .action(action((context) => onDatabase(context, async (database) => {
      const history = await withClient(database.databaseUrl, (client) => migrationHistory(client, migrationsFolder));
      const hasCurrent = await hasCurrentMigration(database);
      const differing = history.filter(({ state }) => state !== 'APPLIED');
      const isUpToDate = differing.length === 0;
      context.answer({ isUpToDate, hasCurrentMigration: hasCurrent, differing }, [
        ...differing.map(({ filename, state }) => `${state.padEnd(8)} ${filename}`),
        isUpToDate ? 'The database has all committed migrations, as they are.' : 'The database differs from the committed migrations.',
        hasCurrent ? 'current.sql holds a migration that is not committed.' : 'current.sql is empty.',
      ].join('\n'));
      return isUpToDate ? exitCodes.ok : exitCodes.failure;
    })));
}
