/** Drives one execution until it ends or waits. The payload holds its id only; everything else is read from its row. */
import type { RuntimeTask } from '../src/runtime/tasks.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const runExecution: RuntimeTask = async (payload, { runtime, logger }) => {
  const { id } = (payload ?? {}) as { id?: unknown };
  if (typeof id === 'string' && uuid.test(id)) await runtime.runExecution(id);
  else logger.warn('a job of run_execution names no execution; nothing is done');
};

export default runExecution;
