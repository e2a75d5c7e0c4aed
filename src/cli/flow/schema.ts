import { Command } from 'commander';
import { flowSchema } from '../../engine/flow-schema.ts';
import { action } from '../context.ts';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('The JSON Schema of flow files: for editors, named by "$schema" in a file.')
    .action(action(async (context) => {
      const schema = flowSchema();
      context.answer(schema, JSON.stringify(schema, null, 2));
    }));
}
