/** The nodes of one execution that wait, while its worker still has other things to do for it. */
import { normalise } from '../engine/normalise.ts';
import type { JsonObject, NodeWaits } from '../engine/types.ts';
import type { DatabaseClock } from './clock.ts';
import { longestInPlaceSeconds } from './gate.ts';
import type { Wait } from './node-record.ts';
import { endsWithATry, type StartedNode } from './node-task.ts';

interface Waiting { started: StartedNode; reason: string; untilMs: number | null; timer: NodeJS.Timeout | null }

const longestInPlaceMs = longestInPlaceSeconds * 1_000;
const longestTimerMs = 2 ** 31 - 1;

export class Waits {
  readonly #clock: DatabaseClock;
  readonly #onDue: (started: StartedNode, reason: string) => void;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: DatabaseClock, onDue: (started: StartedNode, reason: string) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** A new wait; returns it with its time made absolute. */
  begin(started: StartedNode, { reason, until, afterSeconds, details }: NodeWaits): Wait {
    const since = endsWithATry(reason) ? { since: new Date(this.#clock.now()).toISOString() } : {};
    const wait = { reason, details: normalise({ ...details, ...since }).value as JsonObject, until: afterSeconds === null ? until : new Date(this.#clock.now() + afterSeconds * 1_000).toISOString() };
    started.record.waitBegins();
    this.add(started, wait);
    return wait;
  }

  add(started: StartedNode, wait: Wait): void {
    const { id } = started.record.node;
    const untilMs = wait.until === null ? null : Date.parse(wait.until);
    const timer = untilMs === null ? null : setTimeout(() => {
      this.take(id);
      this.#onDue(started, wait.reason);
    }, Math.min(longestTimerMs, Math.max(0, untilMs - this.#clock.now())));
    this.#waiting.set(id, { started, reason: wait.reason, untilMs, timer });
  }

  /** Ends the wait of one node; null when it does not wait. */
  take(nodeId: string): StartedNode | null {
    const waiting = this.#waiting.get(nodeId);
    if (waiting === undefined) return null;
    this.#waiting.delete(nodeId);
    if (waiting.timer !== null) clearTimeout(waiting.timer);
    waiting.started.record.waitEnds();
    return waiting.started;
  }

  /** Something waits, and nothing of it will be over in a moment. */
  areLong(): boolean {
    const first = this.firstMs();
    return this.#waiting.size > 0 && (first === null || first - this.#clock.now() > longestInPlaceMs);
  }

  /** The first wait that is over is one for a turn. */
  isForATurn(): boolean {
    const first = this.firstMs();
    return first !== null && [...this.#waiting.values()].some(({ reason, untilMs }) => untilMs === first && endsWithATry(reason));
  }

  /** When the first wait is over, by the database's clock; null when only events end them. */
  firstMs(): number | null {
    const times = [...this.#waiting.values()].flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Forgets them all; returns the nodes that waited. */
  clear(): StartedNode[] {
    return [...this.#waiting.keys()].flatMap((id) => this.take(id) ?? []);
  }
}
