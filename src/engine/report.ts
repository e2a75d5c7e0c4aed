/** Collects what validation finds: every problem, each with its place. */
import type { Problem, Validation } from './types.ts';

export class Report {
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];

  /** `message` goes on from the field: "must be a text". */
  at(code: string, field: string, message: string, nodeId: string | null = null): void {
    this.add(code, field, `${field} ${message}`, nodeId);
  }

  add(code: string, field: string | null, message: string, nodeId: string | null = null): void {
    (code.startsWith('W') ? this.warnings : this.errors).push({ code, message, field, nodeId });
  }

  validation(): Validation {
    return { valid: this.errors.length === 0, errors: this.errors, warnings: this.warnings };
  }
}
