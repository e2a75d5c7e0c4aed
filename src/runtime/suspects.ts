/**
 * What becomes of an execution whose workers die. It may be what kills them, or have been there when something else did; counting deaths alone cannot
 * tell, and whoever is often killed beside others would be given up with the one that does it. So after some deaths without progress it is a suspect, and
 * only deaths in a trial count from then on: a process that has lived for a while runs it, and no other suspect, until a node of it has ended. What dies as
 * soon as it is started tries nobody.
 */
export const lossesOfSuspects = 4;
export const mostLosses = 12;
/** A process that has worked for so long dies of what it begins now, or by chance. */
const provenMs = 1_000;
/** Suspects that are given back come again one after the other, the first of them after a while. */
const comeAgainMs = 500;
const betweenMs = 200;

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
  /** When the last one that was given back comes again, by how long this process has worked. */
  #lastMs = 0;

  constructor(options: SuspectsOptions<Claim>) {
    this.#options = options;
  }

  /** Tries it, or gives it back: while another one is tried, or this process is young. */
  async drive(claim: Claim, run: () => Promise<void>): Promise<void> {
    const { aliveMs, begin } = this.#options;
    if (this.#tried !== null || aliveMs() < provenMs) return this.#leave(claim);
    this.#tried = claim.executionId;
    try {
      if (await begin(claim)) await run();
    } finally {
      this.hasProgressed(claim);
    }
  }

  async #leave(claim: Claim): Promise<void> {
    const nowMs = this.#options.aliveMs();
    this.#lastMs = Math.max(this.#lastMs + betweenMs, nowMs + comeAgainMs);
    await this.#options.giveBack(claim, this.#lastMs - nowMs);
  }

  /** A node of it has ended, and that is written: it is no suspect any more. */
  hasProgressed({ executionId }: Claimed): void {
    if (this.#tried === executionId) this.#tried = null;
  }
}
