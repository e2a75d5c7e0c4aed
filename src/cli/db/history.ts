import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { migrationHistory } from '../../schema/history.ts';
import { migrationsFolder } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { onDatabase } from './work.ts';

export function historyCommand(): Command {
  return new Command('history')
    .description('List every migration with its hash: APPLIED, PENDING, EDITED after it was committed, MISSING on disk, or HASH DIFFERS (the database ran another one of this number).')
    .action(action((context) => onDatabase(context, async (database) => {
      const history = await withClient(database.databaseUrl, (client) => migrationHistory(client, migrationsFolder));
      const lines = history.map(({ filename, state, appliedAt, message, hash }) =>
        `${filename}  ${state.padEnd(12)}  ${appliedAt ?? '-'.padEnd(24)}  ${hash.slice(0, 17)}  ${message ?? ''}`.trimEnd());
      context.answer(history, lines.length === 0 ? 'There is no committed migration.' : lines.join('\n'));
    })));
}
