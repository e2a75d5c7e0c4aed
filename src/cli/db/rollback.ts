import { Command } from 'commander';
import { proveRollback, rollbackLast, type Rollback } from '../../schema/rollback.ts';
import { announceSchema } from '../../schema/watch.ts';
import { action } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

export function rollbackCommand(): Command {
  return new Command('rollback')
    .description('Take the last migration back with migrations/rollback/NNNNNN.sql, once the shadow has proved it the exact inverse.')
    .option('--prove', 'only prove it, of current.sql when that has a rollback, else of the last committed migration')
    .option('--accept-loss', 'lose the data that it names')
    .action(action((context, { prove = false, acceptLoss = false }: { prove?: boolean; acceptLoss?: boolean }) => onDatabase(context, async (database) => {
      demandShadow(database);
      const done = prove ? await proveRollback(database) : await rollbackLast(database, { acceptLoss });
      if (!prove) await announceSchema(database.databaseUrl);
      context.answer({ ...done, proved: true, rolledBack: !prove }, describe(done, prove));
    })));
}

function describe({ filename, losses, reordered }: Rollback, proveOnly: boolean): string {
  return [
    proveOnly ? `rollback/${filename} is the exact inverse of ${filename}.` : `Taken back: ${filename}. It is pending again; agentflow db migrate runs it, agentflow db uncommit turns it into current.sql.`,
    ...losses.map((loss) => `  ${loss}`),
    ...reordered.map((table) => `  ${table}: columns come back in another order`),
  ].join('\n');
}
