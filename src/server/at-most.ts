/** Work of which only so much is done at once; the rest waits in its order, and what finds too many before it is refused. */
export class AtMost {
  readonly #most: number;
  readonly #waitingMost: number;
  readonly #refusal: () => Error;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(most: number, waitingMost: number, refusal: () => Error) {
    this.#most = most;
    this.#waitingMost = waitingMost;
    this.#refusal = refusal;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#most) this.#running += 1;
    else if (this.#waiting.length >= this.#waitingMost) throw this.#refusal();
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      // Whoever comes next takes the place over.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
