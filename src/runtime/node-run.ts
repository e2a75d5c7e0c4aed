/** Runs one node: its tries, its time, its failure in registered words. Decides nothing about what comes next. */
import { AgentFlowError, NodeError } from '../errors.ts';
import type { NodeEnd } from '../engine/index.ts';
import type { Json, JsonObject, NodeContext, NodeResult, NodeType, NodeWaits, PlanNode, SourcePort } from '../engine/types.ts';
import type { WorkerLog } from './log.ts';
import type { NodeLog } from './node-log.ts';

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
  resumedWith: Json | undefined;
  source(signal: AbortSignal): SourcePort | null;
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
/** Longest wait that a server's Retry-After is granted. */
const longestRetryAfterSeconds = 300;

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
  for (let tries = 1; ; tries += 1) {
    // Going on after a wait is no new try.
    const attempt = task.earlierAttempts + tries - (task.resumedWith === undefined ? 0 : 1);
    task.onAttempt(attempt);
    try {
      return ended(await runOnce(task, attempt));
    } catch (error) {
      const isLast = tries >= retry.maxAttempts || task.signal.aborted;
      if (isLast || !(error instanceof NodeError) || !error.transient) return failureOf(error, task);
      const seconds = pauseSeconds(retry, tries, error.retryAfterSeconds);
      task.log.add('warn', `try ${attempt} failed (${error.message}); next one in ${seconds.toFixed(1)} s`);
      await pause(seconds * 1_000, task.signal);
    }
  }
}

async function runOnce(task: NodeTask, attempt: number): Promise<NodeResult> {
  const seconds = task.node.timeoutSeconds ?? defaultTimeoutSeconds;
  const timer = new AbortController();
  const signal = AbortSignal.any([task.signal, timer.signal]);
  const timeout = setTimeout(() => {
    timer.abort(new NodeError('NODE_TIMEOUT', `Node '${task.node.id}' took longer than its timeout of ${seconds} s.`));
  }, Math.min(seconds * 1_000, 2 ** 31 - 1));
  try {
    // The signal is raced as well: a node that does not listen to it must not hold the execution.
    return await raced(Promise.resolve(task.type.run(contextOf(task, attempt, signal))), signal);
  } finally {
    clearTimeout(timeout);
  }
}

function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}

function contextOf(task: NodeTask, attempt: number, signal: AbortSignal): NodeContext {
  return {
    node: task.node,
    parameters: task.node.parameters,
    state: task.state,
    outputs: task.outputs,
    attempt,
    idempotencyKey: task.idempotencyKey,
    signal,
    log: (level, message) => task.log.add(level, message),
    source: task.source(signal),
    resumedWith: task.resumedWith,
  };
}

function ended(result: NodeResult): RunEnd {
  return result.kind === 'wait' ? result : { status: 'completed', result };
}

function failureOf(error: unknown, task: NodeTask): NodeEnd {
  if (task.signal.aborted) {
    const { code, message } = task.signal.reason as AgentFlowError;
    return { status: 'cancelled', error: { code, message } };
  }
  if (error instanceof AgentFlowError) {
    return { status: error.code === 'NODE_TIMEOUT' ? 'timed_out' : 'failed', error: { code: error.code, message: task.redact(error.message) } };
  }
  // What was not foreseen may hold anything: people get the place, the server's log the rest.
  task.serverLog.error({ err: error, ...task.place }, 'a node failed in a way that was not foreseen');
  return { status: 'failed', error: { code: 'INTERNAL', message: 'Something went wrong inside AgentFlow.' } };
}

function pauseSeconds(retry: PlanNode['retry'], tries: number, retryAfter: number | null): number {
  const backoff = Math.min(retry.maxSeconds, retry.initialSeconds * 2 ** (tries - 1));
  return Math.max(backoff, Math.min(retryAfter ?? 0, longestRetryAfterSeconds));
}

/** Ends early when the signal is aborted; the next try then fails at once. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
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
