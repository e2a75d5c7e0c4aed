/** Runs one node: its tries, its time, its failure in registered words. Decides nothing about what comes next. */
import { AgentFlowError, NodeError } from '../errors.ts';
import type { NodeEnd } from '../engine/index.ts';
import { isObject } from '../engine/json.ts';
import type { Json, JsonObject, NodeContext, NodeResult, NodeType, NodeWaits, PlanNode, SourcePort } from '../engine/types.ts';
import { alarmIn, type Alarm } from './alarms.ts';
import type { WorkerLog } from './log.ts';
import { pause, type Gate } from './gate.ts';
import type { KindSlot } from './kind-slots.ts';
import type { NodeLog } from './node-log.ts';
import { storable } from './storable.ts';

export interface NodeTask {
  node: PlanNode;
  type: NodeType;
  state: JsonObject;
  outputs: JsonObject;
  idempotencyKey: string;
  /** Where this is, for the server's log. */
  place: { executionId: string; nodeId: string };
  /** Tries of this node that earlier claims of the execution began. */
  earlierAttempts: number;
  /** Tries of this round that are behind it: it waited for long between two of them. */
  triesBefore: number;
  /** What the node kept when it had to wait in the middle of a try; null otherwise. */
  kept: JsonObject | null;
  /** The queues in front of it; null when there are none. */
  gate: Gate | null;
  /** One of those that this process has for nodes of this kind. A promise when it must be waited for; it throws when the signal is aborted before. */
  takeSlot(): KindSlot | Promise<KindSlot>;
  /** What its calls have used so far, those of failed tries included. */
  used: { tokens: number; costUnits: number };
  /** Tokens of it that its queues know of. */
  chargedTokens: number;
  resumedWith: Json | undefined;
  source(signal: AbortSignal): SourcePort | null;
  saveArtifact(bytes: Uint8Array, mediaType: string): Promise<string>;
  /** Aborted, with an AgentFlowError, when the execution is cancelled, lost or out of time, or the worker stops. */
  signal: AbortSignal;
  log: NodeLog;
  serverLog: WorkerLog;
  redact(text: string): string;
  /** Told before each try. */
  onAttempt(attempt: number): void;
}

/** How a run of a node ended; a wait goes on later. */
export type RunEnd = NodeEnd | NodeWaits;

/** Seconds that a try of a node with an effect may take when its document says nothing. */
const defaultTimeoutSeconds = 300;
const maxMessageCharacters = 5_000;
/** Longest wait that a server's Retry-After is granted. */
const longestRetryAfterSeconds = 3_600;
/** A longer pause between two tries gives the worker back. */
const longestPauseSeconds = 2;

/** A node without effect: runs at once; only a node type that answers with a promise makes it wait. */
export function runPureNode(task: NodeTask): RunEnd | Promise<RunEnd> {
  const attempt = task.earlierAttempts + (task.resumedWith === undefined ? 1 : 0);
  task.onAttempt(attempt);
  try {
    const result = task.type.run(contextOf(task, attempt, task.signal));
    return result instanceof Promise ? result.then(ended, (error: unknown) => failureOf(error, task)) : ended(result);
  } catch (error) {
    return failureOf(error, task);
  }
}

/** Tries until it succeeds, fails for good, or has used up its tries. Never rejects. */
export async function runEffectNode(task: NodeTask): Promise<RunEnd> {
  const { retry } = task.node;
  // Going on after a wait is no new try.
  const goesOn = task.resumedWith !== undefined || task.kept !== null;
  const attemptsBefore = task.earlierAttempts - task.triesBefore - (goesOn ? 1 : 0);
  for (let tries = task.triesBefore + 1; ; tries += 1) {
    const attempt = attemptsBefore + tries;
    let slot: KindSlot | null = null;
    try {
      const taken = task.takeSlot();
      // Before the queues: between their permit and the call nothing may take long.
      slot = taken instanceof Promise ? await taken : taken;
      // What was waited for before needs no turn.
      const long = task.gate === null || task.resumedWith !== undefined ? null : await task.gate.pass(task.signal);
      if (long !== null) return waitBetweenTries(task, tries - 1, long);
      task.onAttempt(attempt);
      const result = ended(await runOnce(task, attempt));
      if (task.gate !== null) await charge(task, task.gate);
      return 'kind' in result && result.reason === 'rate_limit' ? waitBetweenTries(task, tries - 1, result) : withUsed(result, task);
    } catch (error) {
      slot?.free();
      if (task.gate !== null) await charge(task, task.gate);
      task.kept = null;
      const isLast = tries >= retry.maxAttempts || task.signal.aborted;
      if (isLast || !(error instanceof NodeError) || !error.transient) return failureOf(error, task);
      const seconds = pauseSeconds(retry, tries, error.retryAfterSeconds);
      const said = `try ${attempt} failed (${task.redact(error.message)}); next one in ${seconds.toFixed(1)} s`;
      task.log.add('warn', said);
      if (seconds > longestPauseSeconds) {
        return waitBetweenTries(task, tries, { kind: 'wait', reason: 'retry', until: null, afterSeconds: seconds, details: { message: said } });
      }
      await pause(seconds * 1_000, task.signal);
    } finally {
      slot?.free();
    }
  }
}

/** A wait after which the node is tried (again), with what must not be forgotten meanwhile. `tries`: those of this round that are over. */
function waitBetweenTries(task: NodeTask, tries: number, wait: NodeWaits): NodeWaits {
  task.triesBefore = tries;
  task.kept = isObject(wait.details.kept) ? wait.details.kept : null;
  return { ...wait, details: { ...wait.details, tries, ...(task.used.tokens + task.used.costUnits > 0 ? { used: { tokens: task.used.tokens, cost_units: task.used.costUnits } } : {}) } };
}

/** Tells its queues what its calls have used since they were last told. */
async function charge(task: NodeTask, gate: Gate): Promise<void> {
  const open = task.used.tokens - task.chargedTokens;
  task.chargedTokens = task.used.tokens;
  await gate.charge(open);
}

/** A further call of the same try stands in its queues as the first one did. */
async function nextTurn(task: NodeTask, gate: Gate, signal: AbortSignal, keep: JsonObject): Promise<NodeWaits | null> {
  await charge(task, gate);
  const long = await gate.pass(signal);
  return long === null ? null : { ...long, details: { ...long.details, kept: keep } };
}

function runOnce(task: NodeTask, attempt: number): Promise<NodeResult> {
  return new Promise((resolve, reject) => new Try(task, resolve, reject).run(attempt));
}

/**
 * One try of a node with an effect. It is over when its time is up or the execution stops, too: a node that does not listen to its signal must not hold
 * the execution. By hand, without `async`: AbortSignal.any, and promises that race, cost as much as all the rest of a short node.
 */
class Try {
  readonly #task: NodeTask;
  readonly #resolve: (result: NodeResult) => void;
  readonly #reject: (error: unknown) => void;
  readonly #stopping = new AbortController();
  #timeout: Alarm | null = null;

  constructor(task: NodeTask, resolve: (result: NodeResult) => void, reject: (error: unknown) => void) {
    this.#task = task;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  run(attempt: number): void {
    const { signal, type, node } = this.#task;
    if (signal.aborted) return this.#reject(signal.reason);
    signal.addEventListener('abort', this);
    this.#timeout = alarmIn(Math.min(secondsOf(node) * 1_000, 2 ** 31 - 1), () => this.#stop(timeIsUp(node)));
    try {
      Promise.resolve(type.run(contextOf(this.#task, attempt, this.#stopping.signal))).then((result) => this.#end(result), (error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The execution stops. */
  handleEvent(): void {
    this.#stop(this.#task.signal.reason);
  }

  #stop(reason: unknown): void {
    this.#stopping.abort(reason);
    this.#fail(reason);
  }

  #end(result: NodeResult): void {
    this.#isOver();
    this.#resolve(result);
  }

  #fail(error: unknown): void {
    this.#isOver();
    this.#reject(error);
  }

  #isOver(): void {
    this.#timeout?.off();
    this.#task.signal.removeEventListener('abort', this);
  }
}

function secondsOf(node: PlanNode): number {
  return node.timeoutSeconds ?? defaultTimeoutSeconds;
}

function timeIsUp(node: PlanNode): NodeError {
  const source = sourceOf(node);
  return new NodeError('NODE_TIMEOUT', `${node.type === 'task' ? 'Task' : 'Node'} '${node.id}' took longer than its timeout of ${secondsOf(node)} s${source === null ? '' : `; it asked source '${source}'`}.`);
}

function contextOf(task: NodeTask, attempt: number, signal: AbortSignal): NodeContext {
  const context: NodeContext = {
    node: task.node,
    parameters: task.node.parameters,
    state: task.state,
    outputs: task.outputs,
    attempt,
    idempotencyKey: task.idempotencyKey,
    signal,
    log: (level, message) => task.log.add(level, message),
    source: task.source(signal),
    saveArtifact: (bytes, mediaType) => task.saveArtifact(bytes, mediaType),
    resumedWith: task.resumedWith,
    kept: task.kept,
  };
  if (task.gate !== null) context.nextTurn = (keep) => nextTurn(task, task.gate!, signal, keep);
  return context;
}

function ended(result: NodeResult): RunEnd {
  return result.kind === 'wait' ? result : { status: 'completed', result };
}

/** A node that was tried again has used more than its last try says. */
function withUsed(end: RunEnd, { used }: NodeTask): RunEnd {
  if ('kind' in end || end.status !== 'completed') return end;
  const { tokens = 0, costUnits = 0 } = end.result;
  if (used.tokens <= tokens && used.costUnits <= costUnits) return end;
  return { ...end, result: { ...end.result, tokens: Math.max(tokens, used.tokens), costUnits: Math.max(costUnits, used.costUnits) } };
}

function failureOf(error: unknown, task: NodeTask): NodeEnd {
  return { ...failedEnd(error, task), ...task.used };
}

function failedEnd(error: unknown, task: NodeTask): { status: 'failed' | 'timed_out' | 'cancelled'; error: { code: string; message: string } } {
  if (task.signal.aborted) {
    const { code, message } = task.signal.reason as AgentFlowError;
    return { status: 'cancelled', error: { code, message } };
  }
  if (error instanceof AgentFlowError) {
    return { status: error.code === 'NODE_TIMEOUT' ? 'timed_out' : 'failed', error: { code: error.code, message: storable(task.redact(told(error, task)), maxMessageCharacters) } };
  }
  // What was not foreseen may hold anything: people get the place, the server's log the rest.
  task.serverLog.error({ err: error, ...task.place }, 'a node failed in a way that was not foreseen');
  return { status: 'failed', error: { code: 'INTERNAL', message: 'Something went wrong inside AgentFlow.' } };
}

/** Of what went wrong outside, also what can be done about it. */
function told({ code, message, remedy }: AgentFlowError, { node }: NodeTask): string {
  const isOutside = /^(SOURCE_|BUDGET_|QUOTA_|ANSWER_)/.test(code) || ((code === 'NODE_TIMEOUT' || code === 'LIMIT_OUTPUT') && sourceOf(node) !== null);
  return isOutside ? `${message}${/[.!?]$/.test(message) ? '' : '.'} ${remedy}` : message;
}

function sourceOf({ sourceId, parameters }: PlanNode): string | null {
  return sourceId ?? (typeof parameters['source'] === 'string' ? parameters['source'] : null);
}

/** Doubles from try to try; the upper half of it is left to chance, so that those who failed together do not come back together. */
function pauseSeconds(retry: PlanNode['retry'], tries: number, retryAfter: number | null): number {
  const backoff = Math.min(retry.maxSeconds, retry.initialSeconds * 2 ** (tries - 1));
  const spread = 0.5 + Math.random() / 2;
  return Math.max(backoff * spread, Math.min(retryAfter ?? 0, longestRetryAfterSeconds));
}
