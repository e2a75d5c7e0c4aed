import { Command } from 'commander';
import { applyCurrent, watchCurrent } from '../../schema/watch.ts';
import { action, report } from '../context.ts';
import { openForService } from '../processes.ts';
import { serve } from '../serve.ts';
import { onDatabase } from './work.ts';

export function watchCommand(): Command {
  return new Command('watch')
    .description('Migrate, then run current.sql, and again whenever it or a fixture changes; a running AgentFlow then shows the new schema. Works on a running AgentFlow\'s database too.')
    .option('--once', 'run current.sql once and end')
    .action(action(async (context, { once = false }: { once?: boolean }) => {
      if (once) {
        await onDatabase(context, (database) => applyCurrent(database, context.say));
        context.answer({ ran: 'current.sql' }, 'current.sql ran.');
        return;
      }
      await serve(context.log, context.json, async (service) => {
        const database = await openForService(service, context, { announces: false });
        context.say(`On ${database.description}`);
        const watching = await watchCurrent(database, {
          say: () => undefined,
          ran: (milliseconds) => context.say(`${new Date().toLocaleTimeString('en-GB')} current.sql ran in ${milliseconds} ms`),
          failed: (error) => void report(error, context.json),
        });
        await service.add({ name: 'watching', close: () => watching.stop() });
        context.say('Watching current.sql and the fixtures. Ctrl-C ends.');
      });
    }));
}
