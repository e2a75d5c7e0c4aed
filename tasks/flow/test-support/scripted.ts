/**
 * Answers for any task from the script of its flow execution: `{"fail": "boom"}`, `{"data": {...}}`, both with `delay_ms`; success with `{}` when the
 * script says nothing. Only where AGENTFLOW_TEST_TASKS=1: the context key `__script` then holds `{task: entry}`, and is shown nowhere.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { FlowTask, Json } from '../../../src/runtime/flow-task.ts';

interface Entry {
  data?: Json;
  fail?: Json;
  delay_ms?: number;
}

/** `config`: what the script says of the task. */
const scripted: FlowTask<object, Entry> = async (_context, { config: entry, signal }) => {
  if (typeof entry.delay_ms === 'number') await pause(entry.delay_ms, undefined, { signal });
  if (entry.fail !== undefined && entry.fail !== null) throw new Error(typeof entry.fail === 'string' ? entry.fail : JSON.stringify(entry.fail));
  return entry.data ?? {};
};

export default scripted;
