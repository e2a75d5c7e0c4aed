/** The log lines of one node: few, short, and without the values of secrets. */
import type { JsonObject } from '../engine/types.ts';
import type { DatabaseClock } from './clock.ts';
import { storable } from './storable.ts';

const maxLines = 100;
const maxCharacters = 2_000;

export class NodeLog {
  readonly #clock: DatabaseClock;
  readonly #redact: (text: string) => string;
  readonly #lines: JsonObject[] = [];
  #dropped = 0;

  /** `earlier`: the lines that an earlier claim of the execution left. */
  constructor(clock: DatabaseClock, redact: (text: string) => string, earlier: readonly JsonObject[] = []) {
    this.#clock = clock;
    this.#redact = redact;
    this.#lines.push(...earlier.slice(0, maxLines));
  }

  add(level: 'info' | 'warn' | 'error', message: string): void {
    if (this.#lines.length >= maxLines) {
      this.#dropped += 1;
      return;
    }
    this.#lines.push({ at: new Date(this.#clock.now()).toISOString(), level, message: storable(this.#redact(message), maxCharacters) });
  }

  /** What is stored in `node_executions.logs`; null when nothing was said. */
  lines(): JsonObject[] | null {
    if (this.#lines.length === 0) return null;
    if (this.#dropped === 0) return [...this.#lines];
    return [...this.#lines, { at: new Date(this.#clock.now()).toISOString(), level: 'warn', message: `${this.#dropped} more lines were dropped` }];
  }
}

/** Replaces each of these values where it occurs. Values of under 4 characters would hit innocent text. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  // The longest first: one may be a part of another.
  const values = secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return (text) => values.reduce((result, value) => result.replaceAll(value, '[redacted]'), text);
}
