/** Drives one execution until it ends or waits. The payload holds its id only; everything else is read from its row. */
import type { RuntimeTask } from '../src/runtime/tasks.ts';

const runExecution: RuntimeTask = async (payload, { runtime }) => {
  const { id } = payload as { id?: unknown };
  if (typeof id === 'string') await runtime.runExecution(id);
};

export default runExecution;
