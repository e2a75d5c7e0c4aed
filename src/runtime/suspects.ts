/**
 * What becomes of an execution whose workers die. It may be what kills them, or have been there when something else did; counting deaths alone cannot
 * tell, and whoever is often killed beside others would be given up with the one that does it. So after some deaths without progress it is a suspect, and
 * only deaths in a trial count from then on: a process that has lived for a while runs it, and no other suspect, until a node of it has ended. What dies as
 * soon as it is started tries nobody. Who waits for a trial holds nobody up: it needs no place, and its job does not stand before others'.
 */
export const lossesOfSuspects = 4;
export const mostLosses = 12;
/** A process that has worked for so long dies of what it begins now, or by chance. */
const provenMs = 1_000;
/** Suspects that wait in a process for their trial; those beyond are given back. */
const mostInLine = 50;
/** They come again after this, and up to three times as much. */
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
  readonly #line: { claim: Claim; turn(isThere: boolean): void }[] = [];
  #tried: string | null = null;
  #growing: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: SuspectsOptions<Claim>) {
    this.#options = options;
  }

  /** Tries it when it is its turn, or gives it back. `free` is told when it has to wait. */
  async drive(claim: Claim, free: () => void, run: () => Promise<void>): Promise<void> {
    if (this.#isClosed || this.#line.length >= mostInLine) return this.#leave(claim);
    const turn = Promise.withResolvers<boolean>();
    this.#line.push({ claim, turn: turn.resolve });
    this.#next();
    if (this.#tried !== claim.executionId) free();
    if (!await turn.promise) return this.#leave(claim);
    try {
      if (await this.#options.begin(claim)) await run();
    } finally {
      this.hasProgressed(claim);
    }
  }

  /** A node of it has ended, and that is written: it is no suspect any more. */
  hasProgressed({ executionId }: Claimed): void {
    if (this.#tried !== executionId) return;
    this.#tried = null;
    this.#next();
  }

  /** Gives back who waits. */
  close(): void {
    this.#isClosed = true;
    if (this.#growing !== null) clearTimeout(this.#growing);
    for (const { turn } of this.#line.splice(0)) turn(false);
  }

  #next(): void {
    if (this.#tried !== null || this.#line.length === 0) return;
    const youngMs = provenMs - this.#options.aliveMs();
    if (youngMs > 0) {
      this.#growing ??= setTimeout(() => {
        this.#growing = null;
        this.#next();
      }, youngMs + 1);
      return;
    }
    const { claim, turn } = this.#line.shift()!;
    this.#tried = claim.executionId;
    turn(true);
  }

  async #leave(claim: Claim): Promise<void> {
    await this.#options.giveBack(claim, comeAgainMs * (1 + 2 * Math.random()));
  }
}
