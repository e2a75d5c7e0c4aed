import { Command } from 'commander';
import { workflowSchema } from '../../engine/workflow-schema.ts';
import { nodeTypes } from '../../nodes/index.ts';
import { action } from '../context.ts';

export function schemaCommand(): Command {
  return new Command('schema')
    .description('The JSON Schema of workflow files, with the node types that there are here: for editors, named by "$schema" in a file.')
    .action(action((context) => {
      const schema = workflowSchema(nodeTypes);
      context.answer(schema, JSON.stringify(schema, null, 2));
      return Promise.resolve();
    }));
}
