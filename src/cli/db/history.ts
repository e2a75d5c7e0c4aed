import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { migrationHistory } from '../../schema/history.ts';
import { migrationsFolder } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { onDatabase } from './work.ts';

export function historyCommand(): Command {
  return new Command('history')
    .description('List every migration: APPLIED, PENDING, EDITED after it was committed, or MISSING on disk.')
    .action(action((context) => onDatabase(context, async (database) => {
      const history = await withClient(database.databaseUrl, (client) => migrationHistory(client, migrationsFolder));
      const lines = history.map(({ filename, state, appliedAt, message }) => `${filename}  ${state.padEnd(8)}  ${appliedAt ?? '-'.padEnd(24)}  ${message ?? ''}`.trimEnd());
      context.answer(history, lines.length === 0 ? 'There is no committed migration.' : lines.join('\n'));
    })));
}
