import { Command } from 'commander';
import { workflowSchema } from '../../engine/workflow-schema.ts';
import { action } from '../context.ts';
import { loadNodeTypes } from '../workflow-tools.ts';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('The JSON Schema of workflow files, with the node types that there are here: for editors, named by "$schema" in a file.')
    .action(action(async (context) => {
      const schema = workflowSchema(await loadNodeTypes());
      context.answer(schema, JSON.stringify(schema, null, 2));
    }));
}
