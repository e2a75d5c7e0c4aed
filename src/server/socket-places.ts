/** Open connections, counted by whose they are: nobody holds more of them than allowed. */

/** Those who share one limit, each by name. */
export class Crowd {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Null when there is no place left. */
  take(name: string): (() => void) | null {
    const count = this.#counts.get(name) ?? 0;
    if (count >= this.#most) return null;
    this.#counts.set(name, count + 1);
    return () => {
      const left = this.#counts.get(name)! - 1;
      if (left === 0) this.#counts.delete(name);
      else this.#counts.set(name, left);
    };
  }
}

/** The place that one connection holds. */
export class Place {
  #leave: (() => void) | null = null;
  #isGone = false;

  /** Leaves the present place for one in this crowd. False when there is none: then the present one is kept. */
  moveTo(crowd: Crowd, name: string): boolean {
    if (this.#isGone) return true;
    const leave = crowd.take(name);
    if (leave === null) return false;
    this.#leave?.();
    this.#leave = leave;
    return true;
  }

  /** For good. */
  leave(): void {
    this.#isGone = true;
    this.#leave?.();
    this.#leave = null;
  }
}
