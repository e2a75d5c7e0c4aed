/** Stored secrets of tenants, opened when a source needs them; from then on their values are taken out of everything that is written. */
import type { SecretBox } from '../secrets.ts';
import type { EngineStore } from '../store/engine-store.ts';
import { redactor } from './node-log.ts';

export interface OpenedSecret {
  value: string;
  hosts: readonly string[] | null;
}

/** Values that are remembered for redaction; the oldest go first. */
const maxRemembered = 1_000;

export class TenantSecrets {
  readonly #store: Pick<EngineStore, 'findSecret'>;
  readonly #box: SecretBox | null;
  readonly #always: readonly string[];
  readonly #opened = new Set<string>();
  #redact: (text: string) => string;

  /** `box` null: this worker has no key, and opens nothing. `always`: values to take out from the beginning. */
  constructor(store: Pick<EngineStore, 'findSecret'>, box: SecretBox | null, always: readonly string[]) {
    this.#store = store;
    this.#box = box;
    this.#always = always;
    this.#redact = redactor(always);
  }

  /** Null: there is none of this name, or it was sealed with a key that this worker does not have. */
  async open(tenantId: string, name: string): Promise<OpenedSecret | null> {
    const found = this.#box === null ? null : await this.#store.findSecret(tenantId, name);
    const value = found === null ? null : this.#box!.open(found.sealed, { tenantId, name });
    if (found === null || value === null) return null;
    this.#remember(value);
    return { value, hosts: found.hosts };
  }

  redact(text: string): string {
    return this.#redact(text);
  }

  #remember(value: string): void {
    if (this.#opened.has(value)) return;
    this.#opened.add(value);
    if (this.#opened.size > maxRemembered) this.#opened.delete(this.#opened.values().next().value!);
    this.#redact = redactor([...this.#always, ...this.#opened]);
  }
}
