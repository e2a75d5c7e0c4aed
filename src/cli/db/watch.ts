import { Command } from 'commander';
import { watchCurrent } from '../../schema/migrate.ts';
import { action } from '../context.ts';
import { openForService } from '../processes.ts';
import { serve } from '../serve.ts';
import { onDatabase } from './work.ts';

export function watchCommand(): Command {
  return new Command('watch')
    .description('Migrate, then run current.sql, and again whenever it or a fixture changes. Works on a running AgentFlow\'s database too.')
    .option('--once', 'run current.sql once and end')
    .action(action(async (context, { once = false }: { once?: boolean }) => {
      if (once) {
        await onDatabase(context, (database) => watchCurrent(database, { once, say: context.say }));
        context.answer({ ran: 'current.sql' }, 'current.sql ran.');
        return;
      }
      await serve(context.log, context.json, async (service) => {
        const database = await openForService(service, context, { announces: false });
        context.say(`On ${database.description}`);
        await watchCurrent(database, { once, say: context.say });
        context.say('Watching current.sql and the fixtures. Ctrl-C ends.');
      });
    }));
}
