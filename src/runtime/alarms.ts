/**
 * Times that are mostly taken back before they are up: of each node its timeout, and when a row is to show that it runs. Those of one length stand in
 * a ring, in the order in which they are up, behind one timer of Node's own: one for each costs a twentieth of what a short node needs.
 */

export class Alarm {
  /** Its neighbours in the ring; itself while it is off. */
  before: Alarm = this;
  after: Alarm = this;
  readonly dueMs: number;
  readonly ring: () => void;

  constructor(dueMs: number, ring: () => void) {
    this.dueMs = dueMs;
    this.ring = ring;
  }

  /** Nothing happens when it has rung. */
  off(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this;
    this.after = this;
  }
}

const rings = new Map<number, Ring>();

/** Rings once, in `ms` milliseconds. It does not keep the process alive. */
export function alarmIn(ms: number, ring: () => void): Alarm {
  const alarm = new Alarm(performance.now() + ms, ring);
  let among = rings.get(ms);
  if (among === undefined) rings.set(ms, among = new Ring(ms));
  among.add(alarm);
  return alarm;
}

class Ring {
  readonly #ms: number;
  /** Between the last one and the first one. */
  readonly #end = new Alarm(Infinity, () => undefined);
  #isTimed = false;

  constructor(ms: number) {
    this.#ms = ms;
  }

  add(alarm: Alarm): void {
    const last = this.#end.before;
    alarm.before = last;
    alarm.after = this.#end;
    last.after = alarm;
    this.#end.before = alarm;
    if (!this.#isTimed) this.#time(this.#ms);
  }

  #time(ms: number): void {
    this.#isTimed = true;
    setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    const now = performance.now();
    try {
      for (let first = this.#end.after; first.dueMs <= now; first = this.#end.after) {
        first.off();
        first.ring();
      }
    } finally {
      const first = this.#end.after;
      this.#isTimed = false;
      if (first === this.#end) rings.delete(this.#ms);
      else this.#time(Math.max(1, Math.ceil(first.dueMs - now)));
    }
  }
}
