/**
 * Runs a published workflow of the tenant and waits for its end, holding no worker. Config: `workflow` (its name) or `workflow_id`, and `input`, its
 * initial state, whose texts are templates over the flow's context. Gives its final state; fails when the execution did not complete.
 */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

const executeWorkflow: FlowTask = (_context, { config, runNode }) => runNode('workflow', config);

export default executeWorkflow;
