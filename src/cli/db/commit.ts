import { Command } from 'commander';
import { demandManifest } from '../../schema/manifest.ts';
import { commitCurrent, migrationsFolder } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

export function commitCommand(): Command {
  return new Command('commit')
    .description('Turn current.sql, with its fixtures, into the next committed migration, after trying it on the shadow database.')
    .option('-m, --message <text>', 'becomes part of the file\'s name')
    .action(action((context, { message }: { message?: string }) => onDatabase(context, async (database) => {
      demandShadow(database);
      demandManifest(migrationsFolder);
      const file = await commitCurrent(database, message, context.say);
      context.answer({ committed: file }, `Committed: ${file}`);
    })));
}
