/**
 * What becomes of an execution whose workers die. It may be what kills them, or have been there when something else did; counting deaths alone cannot
 * tell, and whoever is often killed beside others would be given up with the one that does it. So after some deaths without progress it is a suspect, and
 * only deaths in a trial count from then on: a process that has lived for a while runs it, and begins no other suspect, until a node of it has ended. What
 * dies as soon as it is started tries nobody. Whose turn it is not is given back: it holds no place, and another process may try it.
 */
export const lossesOfSuspects = 8;
export const mostLosses = 14;
/** A process that has worked for so long dies of what it begins now, or by chance. */
const provenMs = 1_000;
/** What has not killed its process for so long lets it try the next one; its own trial goes on. */
const longTrialMs = 10_000;
/** Who is given back comes again after this, and up to three times as much: together they would only be given back together. */
const comeAgainMs = 2_000;

/** `losses`: workers that died over it, one after the other, without a node of it that ended meanwhile. */
export function standingOf(losses: number): 'free' | 'suspect' | 'given up' {
  if (losses >= mostLosses) return 'given up';
  return losses >= lossesOfSuspects ? 'suspect' : 'free';
}

interface Claimed {
  executionId: string;
}

export interface SuspectsOptions<Claim> {
  /** For how long this process has worked. */
  aliveMs(): number;
  /** Resolves when it is written that the death of this process counts from now on; to false when the claim is lost. */
  begin(claim: Claim): Promise<boolean>;
  /** Gives the claim up, to be taken again after so many milliseconds. */
  giveBack(claim: Claim, afterMs: number): Promise<unknown>;
}

/** The suspects of one process. */
export class Suspects<Claim extends Claimed> {
  readonly #options: SuspectsOptions<Claim>;
  #tried: string | null = null;

  constructor(options: SuspectsOptions<Claim>) {
    this.#options = options;
  }

  /** Tries it, or gives it back. */
  async drive(claim: Claim, run: () => Promise<void>): Promise<void> {
    if (this.#tried !== null || this.#options.aliveMs() < provenMs) {
      await this.#options.giveBack(claim, comeAgainMs * (1 + 2 * Math.random()));
      return;
    }
    this.#tried = claim.executionId;
    const patience = setTimeout(() => this.hasProgressed(claim), longTrialMs);
    try {
      if (await this.#options.begin(claim)) await run();
    } finally {
      clearTimeout(patience);
      this.hasProgressed(claim);
    }
  }

  /** A node of it has ended, and that is written: it is no suspect any more. */
  hasProgressed({ executionId }: Claimed): void {
    if (this.#tried === executionId) this.#tried = null;
  }
}
