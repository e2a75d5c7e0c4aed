/** Looks for jobs when one of those that this process has given back is due: PostgreSQL tells of new jobs, not of the hour of old ones. */

/** Moments this close to each other are one look. */
const togetherMs = 50;
/** What is further away is left to polling, which finds it within two seconds. */
const farthestMs = 120_000;

export class Waker {
  readonly #look: () => void;
  readonly #timers = new Map<number, NodeJS.Timeout>();

  constructor(look: () => void) {
    this.#look = look;
  }

  at(inMs: number): void {
    if (inMs > farthestMs) return;
    const slot = Math.ceil((performance.now() + Math.max(0, inMs)) / togetherMs);
    if (this.#timers.has(slot)) return;
    this.#timers.set(slot, setTimeout(() => {
      this.#timers.delete(slot);
      this.#look();
    }, slot * togetherMs - performance.now()));
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
