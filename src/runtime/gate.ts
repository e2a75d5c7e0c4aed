/** The queues in front of a node: waits its turn in place when that is short, and says so when it is long. */
import type { NodeWaits, QueueSpec } from '../engine/types.ts';
import type { Bucket, PermitStore } from '../store/permit-store.ts';

/** A wait up to this is waited in place, holding the worker. */
export const longestInPlaceSeconds = 1;

export interface GateOptions {
  queues: readonly QueueSpec[];
  tenantId: string;
  workflowId: string;
  permits: Pick<PermitStore, 'acquire' | 'charge'>;
  /** Loads what the node will need: between the permit and the call nothing may take long. */
  prepare(): Promise<void>;
  /** Told when waiting in place begins and ends. */
  onWait(queueId: string | null): void;
}

export class Gate {
  readonly #options: GateOptions;
  #returns: boolean;

  /** `returns`: was told to come back before, by an earlier claim of the execution. */
  constructor(options: GateOptions, returns: boolean) {
    this.#options = options;
    this.#returns = returns;
  }

  /** Null: the node may begin now. Otherwise it waits for long and comes through here again. Throws the signal's reason when that is aborted. */
  async pass(signal: AbortSignal): Promise<NodeWaits | null> {
    for (const queue of this.#options.queues) {
      const long = await this.#wait(queue, signal);
      if (long === null) continue;
      this.#returns = true;
      return { kind: 'wait', reason: 'rate_limit', until: null, afterSeconds: long, details: { queue: queue.id } };
    }
    this.#returns = false;
    return null;
  }

  /** Takes what the node has used from queues that count tokens. */
  async charge(tokens: number): Promise<void> {
    const counting = tokens > 0 ? this.#options.queues.filter(({ maxTokensPerMinute }) => maxTokensPerMinute !== null) : [];
    await Promise.all(counting.map((queue) => this.#options.permits.charge(this.#bucket(queue), tokens)));
  }

  /** Waits in place as long as that is short; seconds when it is long. */
  async #wait(queue: QueueSpec, signal: AbortSignal): Promise<number | null> {
    await this.#options.prepare();
    for (let returns = this.#returns; ; returns = true) {
      const { isGranted, seconds, at } = await this.#options.permits.acquire({ ...this.#bucket(queue), returns, lateness: (toleratedMs(queue) + travelMs) / 1_000 });
      if (!isGranted && seconds > longestInPlaceSeconds) return seconds;
      const left = at - performance.now();
      if (left > 0) {
        this.#options.onWait(queue.id);
        await pause(left, signal);
        this.#options.onWait(null);
      }
      if (signal.aborted) throw signal.reason;
      // A process that was busy lets its moment pass: who begins late stands in the moment of others.
      if (isGranted && performance.now() - at <= toleratedMs(queue)) return null;
    }
  }

  #bucket({ id, maxMessagesPerSecond, maxRequestsPerMinute, maxTokensPerMinute, burstSize }: QueueSpec): Bucket {
    const { tenantId, workflowId } = this.#options;
    return { tenantId, workflowId, queueId: id, perSecond: maxMessagesPerSecond, perMinute: maxRequestsPerMinute, tokensPerMinute: maxTokensPerMinute, burst: burstSize };
  }
}

const mostTolerated = 250;
const leastTolerated = 10;
/** What a call may take, from its beginning here, until it arrives where the limit is counted. */
const travelMs = 200;

/** How late a node may begin, in milliseconds: what the burst leaves room for, else half the time between two moments. */
function toleratedMs({ maxMessagesPerSecond, maxRequestsPerMinute, burstSize }: QueueSpec): number {
  const perSecond = Math.min(maxMessagesPerSecond ?? Infinity, (maxRequestsPerMinute ?? Infinity) / 60);
  if (perSecond === Infinity) return mostTolerated;
  const burst = burstSize ?? Math.max(1, perSecond);
  return Math.min(mostTolerated, Math.max(leastTolerated, Math.max(burst - 1, 0.5) * 1_000 / perSecond));
}

/** Ends early when the signal is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
