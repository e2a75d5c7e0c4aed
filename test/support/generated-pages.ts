/** The files of docs/ that are made from code, by their names. */
import { flowSchema } from '../../src/engine/flow-schema.ts';
import { workflowSchema } from '../../src/engine/workflow-schema.ts';
import { nodeTypeReference } from '../../src/nodes/docs/reference.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import { errorReference } from './error-reference.ts';

export function generatedPages(): [page: string, content: string][] {
  return [
    ['errors.md', errorReference()],
    ['node-types.md', nodeTypeReference()],
    ['schema/workflow.schema.json', `${JSON.stringify(workflowSchema(nodeTypes), null, 2)}\n`],
    ['schema/flow.schema.json', `${JSON.stringify(flowSchema(), null, 2)}\n`],
  ];
}
