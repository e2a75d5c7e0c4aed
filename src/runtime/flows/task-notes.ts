/** What is known of the tasks of one flow execution beside what the engine keeps: what they were given, and where they failed. */
import { isNativeError } from 'node:util/types';
import type { JsonObject } from '../../engine/types.ts';
import { storable } from '../storable.ts';

const maxTraceCharacters = 20_000;

export class TaskNotes {
  readonly #inputs = new Map<string, JsonObject>();
  readonly #traces = new Map<string, string>();
  readonly #redact: (text: string) => string;

  constructor(redact: (text: string) => string) {
    this.#redact = redact;
  }

  begins(task: string, context: JsonObject): void {
    this.#inputs.set(task, context);
    this.#traces.delete(task);
  }

  fails(task: string, thrown: unknown): void {
    if (isNativeError(thrown) && typeof thrown.stack === 'string') this.#traces.set(task, storable(this.#redact(thrown.stack), maxTraceCharacters));
  }

  inputOf(task: string): JsonObject {
    return this.#inputs.get(task) ?? {};
  }

  traceOf(task: string): string | null {
    return this.#traces.get(task) ?? null;
  }
}
