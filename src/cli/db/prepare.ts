import { Command } from 'commander';
import { prepareDatabase } from '../../schema/prepare.ts';
import { action } from '../context.ts';
import { onDatabase } from './work.ts';

export function prepareCommand(): Command {
  return new Command('prepare')
    .description('Create what migrations stand on: roles, the worker\'s schema, the database\'s settings. migrate does it by itself.')
    .action(action((context) => onDatabase(context, async (database) => {
      await prepareDatabase(database.databaseUrl, database.passwords);
      context.answer({ prepared: true }, 'Prepared: roles, the worker\'s schema and the database\'s settings are there.');
    })));
}
