/** Waits, holding no worker. Config: `seconds`, or `until` (a time like 2026-01-31T12:00:00Z, a template); at most the task's time limit. */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

const wait: FlowTask = async (_context, { config, runNode }) => {
  await runNode('delay', config);
  return {};
};

export default wait;
