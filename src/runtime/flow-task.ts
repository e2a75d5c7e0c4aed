/** What the task of a flow is: the default export of a file in `tasks/flow/`, named like the task. */
import type { Json, JsonObject, SourcePort } from '../engine/types.ts';

export type { Json, JsonObject, SourcePort } from '../engine/types.ts';

/**
 * Returns what it found out, as JSON, to succeed; throws to fail. `context`: the flow's input, and under the name of each task that ran before it
 * `{status, data?, error?}`. It is a copy: what a task does to it changes nothing.
 */
export type FlowTask<Context extends object = JsonObject, Config extends object = JsonObject> =
  (context: Context, tools: FlowTaskTools<Config>) => unknown;

export interface FlowTaskTools<Config extends object = JsonObject> {
  /** The task's `config` in the definition. Frozen: every execution shares it. */
  config: Readonly<Config>;
  /** From 1; higher when a worker died in the middle of it. */
  attempt: number;
  /** Aborted when the flow is cancelled, or the task or the flow takes too long, or the worker stops. What comes after that is not looked at. */
  signal: AbortSignal;
  /** The same for every attempt of this task in this flow execution: hand it to whatever must not happen twice. */
  idempotencyKey: string;
  log: TaskLog;
  /** The tenant's source of this name; its calls are guarded, and end with the signal. */
  source(name: string): SourcePort;
  /** The value with `{path}` in its texts filled from the context; a text that is one placeholder alone takes the value itself. */
  fill(value: Json): Json;
  /** Does what a node of this type does, on the context as its state, and gives its output. It may run the task again from the start after a wait. */
  runNode(type: string, parameters: JsonObject): Promise<Json>;
}

/** Lines that are kept with the task, without the values of secrets. */
export interface TaskLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
