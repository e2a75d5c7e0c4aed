/** One call of a source: the secrets that it has used so far, which no message and no answer may repeat. */
import { AgentFlowError, NodeError } from '../errors.ts';
import type { Json } from '../engine/types.ts';
import { placeOf, type SourceBinding } from './binding.ts';
import { refusalIn } from './guard/fetch.ts';
import { isKeyShaped } from './redact.ts';
import type { SourceSettings } from './settings.ts';

const leastSecretLength = 4;
const maxSaid = 500;

export class SourceCall {
  readonly binding: SourceBinding;
  readonly settings: SourceSettings;
  /** The longest first: one may be a part of another. */
  #secrets: readonly string[] = [];

  constructor(binding: SourceBinding, settings: SourceSettings) {
    this.binding = binding;
    this.settings = settings;
  }

  /** Remembers a value, in the forms in which others may repeat it. Shorter ones would hit innocent text. */
  keepSecret(value: string): void {
    if (value.length < leastSecretLength) return;
    const bytes = Buffer.from(value);
    const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), bytes.toString('base64'), bytes.toString('base64url')];
    this.#secrets = [...new Set([...this.#secrets, ...forms])].sort((a, b) => b.length - a.length);
  }

  redact(text: string): string {
    let result = text;
    for (const secret of this.#secrets) result = result.replaceAll(secret, '[redacted]');
    return result;
  }

  redactJson(value: Json): Json {
    if (this.#secrets.length === 0) return value;
    const text = JSON.stringify(value);
    const redacted = this.redact(text);
    return redacted === text ? value : (JSON.parse(redacted) as Json);
  }

  /** What somebody outside said, short and without anything like a key. */
  said(text: string): string {
    return this.redact(text).replace(isKeyShaped, '[redacted]').trim().slice(0, maxSaid);
  }

  /** Runs it; whatever fails becomes a NodeError that names node and source and repeats no secret. */
  run<T>(work: () => Promise<T>, translate: (error: unknown) => NodeError): Promise<T> {
    return begun(work).catch((error: unknown) => {
      if (this.binding.signal.aborted) throw this.binding.signal.reason;
      throw this.#named(refusalIn(error) ?? (error instanceof AgentFlowError ? error : translate(error)));
    });
  }

  /** Names node and source in refusals of ours; everything else passes. */
  naming<T>(work: () => Promise<T>): Promise<T> {
    return begun(work).catch((error: unknown) => {
      throw error instanceof AgentFlowError && error !== this.binding.signal.reason ? this.#named(error) : error;
    });
  }

  /** Of a text that grows: without secrets, and without an end that could become one. */
  soFar(text: string): string {
    const shown = this.redact(text);
    return shown.slice(0, Math.max(0, shown.length - (this.#secrets[0]?.length ?? 1) + 1));
  }

  #named(error: AgentFlowError): NodeError {
    const message = this.redact(error.message);
    const isNamed = message.startsWith(`Node '${this.binding.nodeId}'`);
    const { transient = false, retryAfterSeconds = null } = error as Partial<NodeError>;
    return new NodeError(error.code, isNamed ? message : `${placeOf(this.binding)}${joint(message)}${message}`, { transient, retryAfterSeconds, remedy: error.remedy, details: error.details });
  }
}

/** What it throws at once is a rejection as well. */
function begun<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What says what the source did follows its name at once, everything else after a colon. */
function joint(message: string): string {
  return /^(\(model |could not |answered |gave |did not |broke off |is not called|may not be asked)/.test(message) ? ' ' : ': ';
}
