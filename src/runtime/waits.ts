/** The nodes of one execution that wait, while its worker still has other things to do for it. */
import type { NodeWaits } from '../engine/types.ts';
import type { DatabaseClock } from './clock.ts';
import type { Wait } from './node-record.ts';
import type { StartedNode } from './node-task.ts';

interface Waiting { started: StartedNode; untilMs: number | null; timer: NodeJS.Timeout | null }

/** A wait up to this is waited in place, holding the worker. */
const longestInPlaceMs = 1_000;
const longestTimerMs = 2 ** 31 - 1;

export class Waits {
  readonly #clock: DatabaseClock;
  readonly #onDue: (started: StartedNode, result: null) => void;
  readonly #waiting = new Map<string, Waiting>();

  constructor(clock: DatabaseClock, onDue: (started: StartedNode, result: null) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** A new wait; returns it with its time made absolute. */
  begin(started: StartedNode, { reason, until, afterSeconds, details }: NodeWaits): Wait {
    const wait = { reason, details, until: afterSeconds === null ? until : new Date(this.#clock.now() + afterSeconds * 1_000).toISOString() };
    started.record.waitBegins();
    this.add(started, wait);
    return wait;
  }

  add(started: StartedNode, wait: Wait): void {
    const { id } = started.record.node;
    const untilMs = wait.until === null ? null : Date.parse(wait.until);
    const timer = untilMs === null ? null : setTimeout(() => {
      this.#waiting.delete(id);
      started.record.waitEnds();
      this.#onDue(started, null);
    }, Math.min(longestTimerMs, Math.max(0, untilMs - this.#clock.now())));
    this.#waiting.set(id, { started, untilMs, timer });
  }

  /** Something waits, and nothing of it will be over in a moment. */
  areLong(): boolean {
    const first = this.firstMs();
    return this.#waiting.size > 0 && (first === null || first - this.#clock.now() > longestInPlaceMs);
  }

  /** When the first wait is over, by the database's clock; null when only events end them. */
  firstMs(): number | null {
    const times = [...this.#waiting.values()].flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Forgets them all; returns the nodes that waited. */
  clear(): StartedNode[] {
    const started = [...this.#waiting.values()].map((waiting) => {
      if (waiting.timer !== null) clearTimeout(waiting.timer);
      waiting.started.record.waitEnds();
      return waiting.started;
    });
    this.#waiting.clear();
    return started;
  }
}
