/** Makes a value from the context, as a node of type `transform` does. Config: `expression` (CEL) or `values` (an object of templates). */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

export const pure = true;

const transform: FlowTask = (_context, { config, runNode }) => runNode('transform', config);

export default transform;
