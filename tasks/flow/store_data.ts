/** Sample: stands for a task that stores what `process_data` made, once for each idempotency key. */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

interface Context {
  process_data?: { data?: { records: unknown[] } };
}

const storeData: FlowTask<Context> = ({ process_data: processed }, { idempotencyKey }) => {
  if (processed?.data === undefined) throw new Error('There is nothing to store.');
  return { stored: processed.data.records.length, key: idempotencyKey };
};

export default storeData;
