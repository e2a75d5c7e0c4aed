import { Command } from 'commander';
import { breaksCommand } from './breaks.ts';
import { commitCommand } from './commit.ts';
import { currentCommand } from './current.ts';
import { driftCommand } from './drift.ts';
import { historyCommand } from './history.ts';
import { lintCommand } from './lint.ts';
import { migrateCommand } from './migrate.ts';
import { newCommand } from './new.ts';
import { prepareCommand } from './prepare.ts';
import { resetCommand } from './reset.ts';
import { rollbackCommand } from './rollback.ts';
import { snapshotCommand } from './snapshot.ts';
import { statusCommand } from './status.ts';
import { uncommitCommand } from './uncommit.ts';
import { watchCommand } from './watch.ts';

export function dbCommands(): Command {
  return new Command('db')
    .description('The DBA\'s room: migrations are SQL, written in current.sql.')
    .addCommand(newCommand())
    .addCommand(migrateCommand())
    .addCommand(statusCommand())
    .addCommand(currentCommand())
    .addCommand(historyCommand())
    .addCommand(watchCommand())
    .addCommand(commitCommand())
    .addCommand(uncommitCommand())
    .addCommand(rollbackCommand())
    .addCommand(resetCommand())
    .addCommand(lintCommand())
    .addCommand(driftCommand())
    .addCommand(snapshotCommand())
    .addCommand(breaksCommand())
    .addCommand(prepareCommand());
}
