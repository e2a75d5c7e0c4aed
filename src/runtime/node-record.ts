/** What is known of one node while it runs, and the row that is made of it. */
import { normalise } from '../engine/normalise.ts';
import type { Json, JsonObject, NodeOutcome, NodeStatus, PlanNode } from '../engine/types.ts';
import type { NodeRow, StoredNode } from '../store/rows.ts';
import type { DatabaseClock } from './clock.ts';
import type { NodeLog } from './node-log.ts';

export interface Wait {
  reason: string;
  /** ISO time; null: only an event ends it. */
  until: string | null;
  details: JsonObject;
}

/** Of an answer that grows: what is shown of it. */
const maxPartialCharacters = 65_536;
const maxNameCharacters = 255;

export interface Asked {
  sourceName: string | null;
  model: string | null;
  isCached: boolean;
}

export class NodeRecord {
  readonly node: PlanNode;
  readonly log: NodeLog;
  readonly #clock: DatabaseClock;
  readonly sequence: number;
  readonly #startedMs: number;
  /** Tries that were begun, earlier claims of the execution included. */
  attempts: number;
  #waitedSeconds = 0;
  #waitingSinceMs: number | null;
  /** The queue whose turn it waits for in place. */
  #queue: string | null = null;
  /** What answered it, and whether all of that was kept from before. */
  #asked: Asked | null = null;
  #partial: string | null = null;
  /** There is a row of it, or one is on its way. */
  #isShown: boolean;

  /** `stored`: what an earlier claim of the execution left of this node. */
  constructor(node: PlanNode, sequence: number, options: { clock: DatabaseClock; log: NodeLog; stored: StoredNode | null }) {
    const { clock, log, stored } = options;
    this.node = node;
    this.log = log;
    this.#clock = clock;
    this.sequence = sequence;
    this.#startedMs = stored?.started_ms ?? clock.now();
    this.#waitedSeconds = stored?.wait_time ?? 0;
    this.#waitingSinceMs = stored?.status === 'waiting' || stored?.status === 'rate_limited' ? sinceMs(stored) ?? this.#startedMs : null;
    this.attempts = stored?.attempts ?? 0;
    this.#isShown = stored !== null;
  }

  /** A source has answered a call of the node. */
  answeredBy(asked: Asked): void {
    this.#asked = { sourceName: named(asked.sourceName), model: named(asked.model), isCached: asked.isCached && (this.#asked?.isCached ?? true) };
  }

  /** What a model has said so far; null when it has ended. */
  says(text: string | null): void {
    this.#partial = text === null ? null : text.slice(0, maxPartialCharacters).toWellFormed().replaceAll('\0', '\uFFFD');
  }

  waitBegins(): void {
    this.#waitingSinceMs ??= this.#clock.now();
  }

  waitEnds(): void {
    if (this.#waitingSinceMs === null) return;
    this.#waitedSeconds += Math.max(0, this.#clock.now() - this.#waitingSinceMs) / 1_000;
    this.#waitingSinceMs = null;
  }

  /** Waits in place for its turn in a queue, or no longer (null). */
  waitsForQueue(queue: string | null): void {
    this.#queue = queue;
    if (queue === null) this.waitEnds();
    else this.waitBegins();
  }

  running(): NodeRow {
    if (this.#queue === null) return this.#row('running', { partialOutput: this.#partial });
    return this.#row('rate_limited', { wait: { reason: 'rate_limit', until: null, details: { queue: this.#queue } } });
  }

  /** `used`: by tries that are over. */
  waiting(wait: Wait, used: { tokens: number; costUnits: number }): NodeRow {
    return this.#row(wait.reason === 'rate_limit' ? 'rate_limited' : 'waiting', { wait, tokens: used.tokens, costUnits: used.costUnits });
  }

  finished(outcome: NodeOutcome, input: Json | undefined): NodeRow {
    return this.#row(outcome.status, {
      finishOrder: outcome.finishOrder, input: this.#storable(input), output: outcome.output, writes: outcome.writes, routeTarget: outcome.routeTarget,
      error: outcome.error, tokens: outcome.tokens, costUnits: outcome.costUnits, completedMs: this.#clock.now(),
    });
  }

  /** Seconds since it started, waits included. */
  seconds(): number {
    return Math.max(0, this.#clock.now() - this.#startedMs) / 1_000;
  }

  /** What nodes without effect were given comes from the state, which is clean. */
  #storable(input: Json | undefined): Json | undefined {
    if (input === undefined || !this.node.hasEffect) return input;
    try {
      return normalise(input).value;
    } catch (error) {
      this.log.add('warn', `the input is not kept: ${(error as Error).message}`);
      return undefined;
    }
  }

  #row(status: NodeStatus, over: Partial<NodeRow>): NodeRow {
    const mayExist = this.#isShown;
    this.#isShown = true;
    const row: NodeRow = {
      nodeId: this.node.id, nodeType: this.node.type, sequence: this.sequence, attempts: this.attempts, status,
      waitSeconds: Math.round(this.#waitedSeconds * 1_000) / 1_000, logs: this.log.lines(), startedMs: this.#startedMs,
      mayExist, finishOrder: null, input: undefined, output: undefined, writes: null, routeTarget: null, error: null, tokens: 0, costUnits: 0, wait: null, completedMs: null,
      sourceName: this.#asked?.sourceName ?? null, model: this.#asked?.model ?? null, isCached: this.#asked?.isCached ?? false,
    };
    return Object.assign(row, over);
  }
}

/** When its wait began, where that was not when it started. */
function sinceMs({ wait_details: details }: StoredNode): number | null {
  const since = details?.['since'];
  return typeof since === 'string' ? Date.parse(since) : null;
}

/** A node that can no longer be reached never started. */
export function skippedRow(node: PlanNode, outcome: NodeOutcome, clock: DatabaseClock): NodeRow {
  return {
    nodeId: node.id, nodeType: node.type, sequence: null, finishOrder: outcome.finishOrder, attempts: 0, status: outcome.status,
    input: undefined, output: undefined, writes: null, routeTarget: null, error: outcome.error, tokens: 0, costUnits: 0,
    waitSeconds: 0, wait: null, logs: null, startedMs: null, completedMs: clock.now(),
  };
}

function named(name: string | null): string | null {
  return name === null ? null : name.slice(0, maxNameCharacters).toWellFormed();
}
