/**
 * Circuit breakers: a source that fails several times in a row is not called for a while, by no worker; then one call tries it out.
 * What counts is whether it can be reached and answers: refusals (401, 402, 4xx) and full queues (429) do not open a circuit.
 */
import { NodeError } from '../errors.ts';
import { objectOf, type SourceBinding } from './binding.ts';
import type { CircuitState, SharedState } from './shared-state.ts';

/** A source that was working a moment ago is not asked about again before each call. */
const freshMs = 1_000;
const maxKnown = 10_000;
const defaultFailures = 5;
const defaultSeconds = 30;

interface Known {
  failures: number;
  readAt: number;
}

interface Rules {
  threshold: number;
  seconds: number;
}

export class Circuits {
  readonly #shared: SharedState | null;
  /** Those that were closed when they were last looked at. */
  readonly #closed = new Map<string, Known>();

  constructor(shared: SharedState | null) {
    this.#shared = shared;
  }

  /** Makes the call when the circuit lets it pass. @throws NodeError SOURCE_PAUSED, and what the call throws */
  guarded<T>(binding: SourceBinding, work: () => Promise<T>): Promise<T> {
    const { tenantId, sourceKey, config } = binding;
    if (this.#shared === null || config['circuit_breaker'] === false || tenantId === undefined || sourceKey === undefined) return work();
    const known = this.#closed.get(`${tenantId} ${sourceKey}`);
    const isFresh = known !== undefined && performance.now() - known.readAt < freshMs;
    return isFresh ? this.#called(binding, work, known.failures) : this.#enter(this.#shared, tenantId, sourceKey).then((failures) => this.#called(binding, work, failures));
  }

  /** `failuresBefore`: in a row. */
  #called<T>(binding: SourceBinding, work: () => Promise<T>, failuresBefore: number): Promise<T> {
    const failed = async (error: unknown): Promise<never> => {
      if (counts(error, binding)) await this.#record(binding, (error as NodeError).code);
      else if (failuresBefore > 0 && isAnswer(error)) await this.#record(binding, null);
      throw error;
    };
    return failuresBefore === 0 ? work().catch(failed) : work().then(async (result) => {
      await this.#record(binding, null);
      return result;
    }, failed);
  }

  /** `errorCode` null: it went well. */
  #record(binding: SourceBinding, errorCode: string | null): Promise<void> {
    const [tenantId, sourceKey] = [binding.tenantId!, binding.sourceKey!];
    this.#closed.delete(`${tenantId} ${sourceKey}`);
    return this.#shared!.recordCircuit({ tenantId, sourceKey, isOk: errorCode === null, ...rulesOf(binding), errorCode });
  }

  /** Failures in a row, as all workers know them. @throws NodeError SOURCE_PAUSED */
  async #enter(shared: SharedState, tenantId: string, sourceKey: string): Promise<number> {
    const circuit = await shared.enterCircuit(tenantId, sourceKey);
    if (circuit.state === 'OPEN') throw paused(circuit);
    if (circuit.state === 'CLOSED') {
      if (this.#closed.size >= maxKnown) this.#closed.clear();
      this.#closed.set(`${tenantId} ${sourceKey}`, { failures: circuit.failures, readAt: performance.now() });
    }
    return circuit.failures;
  }
}

function paused({ failures, seconds }: CircuitState): NodeError {
  return new NodeError('SOURCE_PAUSED', `is not called: it failed ${failures} times in a row, and is tried out again in ${Math.ceil(seconds)} s.`, { transient: true, retryAfterSeconds: seconds });
}

function rulesOf({ config }: SourceBinding): Rules {
  const own = objectOf(config['circuit_breaker']) ?? {};
  const positive = (value: unknown, otherwise: number, most: number): number => (typeof value === 'number' && value > 0 ? Math.min(value, most) : otherwise);
  return { threshold: positive(own['failures'], defaultFailures, 1_000), seconds: positive(own['seconds'], defaultSeconds, 3_600) };
}

/** Not reached, cut off, 5xx, or no end in the node's time. An execution that is cancelled says nothing about the source. */
function counts(error: unknown, { signal }: SourceBinding): boolean {
  if (!(error instanceof NodeError)) return false;
  if (error.code === 'NODE_TIMEOUT') return signal.aborted;
  const status = error.details['status'];
  return error.code === 'SOURCE_UNAVAILABLE' && (typeof status !== 'number' || status >= 500);
}

function isAnswer(error: unknown): boolean {
  return error instanceof NodeError && ['SOURCE_UNAVAILABLE', 'SOURCE_UNAUTHORIZED', 'SOURCE_UNPAID', 'SOURCE_FAILED', 'ANSWER_INVALID', 'LIMIT_OUTPUT'].includes(error.code);
}
