import { Command } from 'commander';
import { AgentFlowError } from '../../errors.ts';
import { resetDatabase } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

export function resetCommand(): Command {
  return new Command('reset')
    .description('Drop the database WITH EVERYTHING IN IT, make it anew and migrate it. Nobody may be connected.')
    .option('--erase', 'yes, erase everything')
    .option('--shadow', 'the shadow database instead')
    .action(action(async (context, { erase = false, shadow = false }: { erase?: boolean; shadow?: boolean }) => {
      if (!erase && !shadow) throw new AgentFlowError('USAGE', 'reset erases the whole database.', { remedy: 'Add --erase if that is what you want.' });
      await onDatabase(context, async (database) => {
        demandShadow(database);
        await resetDatabase(database, { shadow, say: context.say });
      });
      context.answer({ reset: shadow ? 'shadow' : 'database' }, `The ${shadow ? 'shadow ' : ''}database is new.`);
    }));
}
