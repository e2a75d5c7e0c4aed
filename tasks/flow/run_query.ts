/**
 * One read query, as a node of type `db` runs it. Config: `source` (a saved source of kind db), `query` (its `{path}` and `:name` become bind
 * parameters), `params`, `limit`. Gives the list of rows.
 */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

const runQuery: FlowTask = (_context, { config, runNode }) => runNode('db', config);

export default runQuery;
