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

/** An execution as this needs it. */
export interface Driven {
  readonly claim: { losses: number };
  readonly journal: { onProgress: (() => void) | null };
  postpone(ms: number): void;
}

/** The suspects of one process. */
export class Suspects {
  #driven: Driven | null = null;

  /** False: it was given back, because another one is driven. `leave` is to be called when it is over. */
  admit(execution: Driven): boolean {
    if (standingOf(execution.claim.losses) === 'free') return true;
    if (this.#driven !== null) {
      execution.postpone(comeAgainMs * (1 + Math.random()));
      return false;
    }
    this.#driven = execution;
    execution.journal.onProgress = () => this.leave(execution);
    return true;
  }

  leave(execution: Driven): void {
    if (this.#driven === execution) this.#driven = null;
  }
}
