/** Makes the coming months' partitions, long before they are needed. */
import type { RuntimeTask } from '../src/runtime/tasks.ts';

const makePartitions: RuntimeTask = async (_payload, { runtime }) => {
  await runtime.makePartitions();
};

export default makePartitions;
