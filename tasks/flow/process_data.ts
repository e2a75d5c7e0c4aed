/** Sample: works on what `fetch_data` found. Fails when there is nothing to work on. */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

interface Context {
  fetch_data?: { data?: { records: { id: number; value: number }[] } };
}

const processData: FlowTask<Context> = ({ fetch_data: fetched }) => {
  const records = fetched?.data?.records;
  if (records === undefined || records.length === 0) throw new Error('There are no records to process.');
  return { records: records.map(({ id, value }) => ({ id, doubled: value * 2 })), total: records.reduce((sum, { value }) => sum + value, 0) };
};

export default processData;
