/**
 * Executions that have ended and are being written need no job any more: while they are, the worker drives others, up to as many again. When
 * it dies before they are written their leases lead others to them.
 */
export class Endings {
  readonly #most: number;
  #beingWritten = 0;

  /** `most`: how many may be written while their jobs are over. */
  constructor(most: number) {
    this.#most = most;
  }

  /** False: there are too many, and the job has to wait until it is written. */
  begin(written: Promise<unknown>): boolean {
    if (this.#beingWritten >= this.#most) return false;
    this.#beingWritten += 1;
    const ends = (): void => {
      this.#beingWritten -= 1;
    };
    written.then(ends, ends);
    return true;
  }
}
