/** An execution of which all that runs waits for slots of their kinds: it needs no place meanwhile; where there is no room it is given back for a while. */
import type { WaitingSeat } from './waiting-room.ts';

export interface SlotHoldOptions {
  seat: WaitingSeat;
  /** Does it do nothing but wait, when so many of its nodes wait for slots? */
  onlyWaits(count: number): boolean;
  /** It waits in memory from now on. */
  held(): void;
  giveBack(ms: number): void;
}

/** For whom there is no room to wait. */
const leastAwayMs = 2_000;

export class SlotHold {
  readonly #options: SlotHoldOptions;
  #waits = 0;

  constructor(options: SlotHoldOptions) {
    this.#options = options;
  }

  /** A node begins or ends to wait. */
  tell(waits: boolean): void {
    this.#waits += waits ? 1 : -1;
    // Where its wait begins, the node is not yet among those that run.
    if (waits) setImmediate(() => this.#hold());
    else if (!this.#options.seat.goOn()) this.#options.giveBack(0);
  }

  #hold(): void {
    const { seat, onlyWaits, held, giveBack } = this.#options;
    if (this.#waits === 0 || !onlyWaits(this.#waits)) return;
    if (seat.take(0)) held();
    else giveBack(leastAwayMs * (1 + Math.random()));
  }
}
