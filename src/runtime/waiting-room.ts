/**
 * Executions that wait for their turn in a queue stay in memory for a while instead of being given back: nobody else could do more for them, and they
 * hold no place of the worker's. Those whose turn has come go on beside these, up to as many again.
 */
export class WaitingRoom {
  readonly #concurrency: number;
  #waiting = 0;
  #goingOn = 0;

  /** `concurrency`: places of the worker. */
  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Null: there is no room. */
  enter(): WaitingPlace | null {
    if (this.#waiting >= this.#concurrency * waitingForEach) return null;
    this.#waiting += 1;
    return new WaitingPlace({
      mayGoOn: () => {
        if (this.#goingOn >= this.#concurrency) return false;
        this.#waiting -= 1;
        this.#goingOn += 1;
        return true;
      },
      leaves: (goesOn) => {
        if (goesOn) this.#goingOn -= 1;
        else this.#waiting -= 1;
      },
    });
  }
}

const waitingForEach = 10;

/** The place of one execution. */
export class WaitingPlace {
  readonly #room: { mayGoOn(): boolean; leaves(goesOn: boolean): void };
  #state: 'waits' | 'goes on' | 'left' = 'waits';

  constructor(room: { mayGoOn(): boolean; leaves(goesOn: boolean): void }) {
    this.#room = room;
  }

  /** Its turn has come. False: too many go on by now; it stays where it is. */
  goOn(): boolean {
    if (this.#state !== 'waits') return true;
    if (!this.#room.mayGoOn()) return false;
    this.#state = 'goes on';
    return true;
  }

  leave(): void {
    if (this.#state === 'left') return;
    this.#room.leaves(this.#state === 'goes on');
    this.#state = 'left';
  }
}

/** Longest wait for a turn in memory. */
const longestMs = 60_000;
/** Part of an execution's time limit that it may spend so: the wait counts as time of it. */
const mostOfTheLimit = 0.05;

/** What one execution has of the room, from wait to wait. */
export class WaitingSeat {
  readonly #room: WaitingRoom;
  #leftMs: number;
  #place: WaitingPlace | null = null;

  /** `maxSeconds`: the execution's time limit. */
  constructor(room: WaitingRoom, maxSeconds: number) {
    this.#room = room;
    this.#leftMs = maxSeconds * 1_000 * mostOfTheLimit;
  }

  /** False: the wait is too long, or the room is full. */
  take(forMs: number): boolean {
    if (forMs > longestMs || forMs > this.#leftMs) return false;
    const place = this.#room.enter();
    if (place === null) return false;
    this.#place?.leave();
    this.#place = place;
    this.#leftMs -= forMs;
    return true;
  }

  /** False: its turn has come, but too many go on by now. */
  goOn(): boolean {
    return this.#place?.goOn() ?? true;
  }

  leave(): void {
    this.#place?.leave();
  }
}
