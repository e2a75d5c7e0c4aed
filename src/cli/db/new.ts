import path from 'node:path';
import { Command } from 'commander';
import { migrationsFolder } from '../../schema/migrate.ts';
import { newMigration } from '../../schema/scaffold.ts';
import { action } from '../context.ts';

export function newCommand(): Command {
  return new Command('new')
    .description('Begin a migration: current.sql with its message, and the file that takes it back.')
    .argument('<message>', 'what it does, in a line')
    .action(action(async (context, _options: object, message: string) => {
      const { filename, rollback } = newMigration(migrationsFolder, message);
      context.answer({ filename, current: 'current.sql', rollback: path.relative(process.cwd(), rollback) }, [
        `Write migration ${filename} in current.sql, and what takes it back in migrations/rollback/${filename}.`,
        'Then: agentflow db watch, agentflow db rollback --prove, agentflow db commit',
      ].join('\n'));
    }));
}
