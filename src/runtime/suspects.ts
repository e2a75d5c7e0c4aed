/**
 * What becomes of an execution whose workers die. It may be what kills them, or have been there when something else did; counting deaths alone cannot
 * tell, and whoever is often killed beside others would be given up with the one that does it. So after some deaths without progress it is a suspect:
 * a process drives one suspect at a time, and gives others back until a node of that one has ended. The deaths from then on are its own, or chance.
 */
export const lossesOfSuspects = 5;
export const mostLosses = 10;
/** Given back because another suspect is driven: it comes again after this, and up to as much more. */
const comeAgainMs = 500;

/** `losses`: workers that died over it, one after the other, without a node of it that ended meanwhile. */
export function standingOf(losses: number): 'free' | 'suspect' | 'given up' {
  if (losses >= mostLosses) return 'given up';
  return losses >= lossesOfSuspects ? 'suspect' : 'free';
}

interface Claimed {
  executionId: string;
}

/** The suspects of one process. */
export class Suspects<Claim extends Claimed> {
  readonly #giveBack: (claim: Claim, afterMs: number) => Promise<unknown>;
  readonly #givenBack = new Set<Promise<unknown>>();
  #driven: string | null = null;

  /** `giveBack`: resolves when it is written that the claim is given up, to be taken again after so many milliseconds. */
  constructor(giveBack: (claim: Claim, afterMs: number) => Promise<unknown>) {
    this.#giveBack = giveBack;
  }

  /** Drives it, unless another one is driven; then it is given back. To be called as soon as it is claimed. */
  async drive(claim: Claim, run: () => Promise<void>): Promise<void> {
    if (this.#driven !== null) return this.#leave(claim);
    this.#driven = claim.executionId;
    try {
      // What was claimed together with it must not die with it.
      await Promise.resolve();
      await Promise.allSettled(this.#givenBack);
      await run();
    } finally {
      this.hasProgressed(claim);
    }
  }

  /** A node of it has ended, and that is written: it is no suspect any more. */
  hasProgressed({ executionId }: Claimed): void {
    if (this.#driven === executionId) this.#driven = null;
  }

  async #leave(claim: Claim): Promise<void> {
    const written = this.#giveBack(claim, comeAgainMs * (1 + Math.random()));
    this.#givenBack.add(written);
    await written.finally(() => this.#givenBack.delete(written));
  }
}
