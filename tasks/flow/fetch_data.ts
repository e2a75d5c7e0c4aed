/** Sample: stands for a task that gets records from somewhere. Config `count`: how many; 3 when left out. */
import type { FlowTask } from '../../src/runtime/flow-task.ts';

const fetchData: FlowTask<object, { count?: number }> = (_context, { config, log }) => {
  const records = Array.from({ length: config.count ?? 3 }, (_, index) => ({ id: index + 1, value: (index + 1) * 10 }));
  log.info(`fetched ${records.length} records`);
  return { records };
};

export default fetchData;
