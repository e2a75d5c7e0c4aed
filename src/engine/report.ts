/** Collects what validation finds: every problem, each with its place. */
import type { Problem, Validation } from './types.ts';

/** Of each code no more than this are told. */
const maxPerCode = 1_000;

export class Report {
  readonly #counts = new Map<string, number>();
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];

  /** `message` goes on from the field: "must be a text". */
  at(code: string, field: string, message: string, nodeId: string | null = null): void {
    this.add(code, field, `${field} ${message}`, nodeId);
  }

  add(code: string, field: string | null, message: string, nodeId: string | null = null): void {
    const count = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, count);
    if (count > maxPerCode) return;
    (code.startsWith('W') ? this.warnings : this.errors).push({ code, message, field, nodeId });
  }

  validation(): Validation {
    return { valid: this.errors.length === 0, errors: this.errors, warnings: this.warnings };
  }
}
