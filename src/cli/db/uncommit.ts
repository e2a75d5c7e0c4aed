import { Command } from 'commander';
import { uncommitLast } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

export function uncommitCommand(): Command {
  return new Command('uncommit')
    .description('Turn the last committed migration into current.sql again. Only while no other database has it.')
    .action(action((context) => onDatabase(context, async (database) => {
      demandShadow(database);
      const file = await uncommitLast(database, context.say);
      context.answer({ uncommitted: file }, `Uncommitted: ${file} is current.sql again.`);
    })));
}
