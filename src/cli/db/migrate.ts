import { Command } from 'commander';
import { migrateDatabase } from '../../schema/migrate-database.ts';
import { announceSchema } from '../../schema/watch.ts';
import { action } from '../context.ts';
import { onDatabase } from './work.ts';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('Create missing roles and run the committed migrations that the database lacks.')
    .action(action((context) => onDatabase(context, async (database) => {
      const migrations = await migrateDatabase(database.databaseUrl, { passwords: database.passwords, say: context.say });
      if (migrations.length > 0) await announceSchema(database.databaseUrl);
      context.answer({ migrations }, migrations.length === 0 ? 'Nothing to do: the database is up to date.' : `Migrated: ${migrations.join(', ')}`);
    })));
}
