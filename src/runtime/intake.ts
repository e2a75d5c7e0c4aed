/**
 * What this process takes up: as many executions as there are places for, and none ahead, so that nothing waits in its memory while others come.
 * Some places are kept from long queues, and have a statement of their own: what begins singly need not wait until one of those ends, nor until
 * many of them are taken. While more waits than fits, tenants with long queues are put behind the others in the database (`app_private.share_turns`),
 * and share what is taken of them (`app_private.take_jobs`).
 * Jobs of executions that were held when they came due are left to graphile-worker.
 */
import { isPassing, isUnknownWorker } from '../store/retry.ts';
import type { WorkerLog } from './log.ts';

export interface Portion<Claim> {
  /** Jobs taken: of what waits as everybody does, and of long queues. */
  short: number;
  long: number;
  /** Jobs that were due and are left to others. */
  passedBy: number;
  claims: Claim[];
}

export interface IntakeOptions<Claim> {
  /** Executions at a time. */
  places: number;
  /** At most `wanted`, of which `ofLong` at most from long queues. */
  take(wanted: number, ofLong: number): Promise<Portion<Claim>>;
  /** Resolves when the execution needs its place no longer; never rejects. */
  begin(claim: Claim): Promise<void>;
  /** Gives back what the database takes for ours after an answer was lost. */
  forget(): Promise<void>;
  /** Puts long queues behind what others have; resolves to how many there are. */
  sort(): Promise<number>;
  /** The database took this process for dead; until it is known again nothing can be taken. */
  onUnknown(): void;
  /** Told how many executions each statement has brought. */
  onTaken(count: number): void;
  log: WorkerLog;
}

/** One of so many places is kept from long queues; while these are all in use beside one, up to one of so many. */
const keptOfPlaces = 10;
const mostKeptOfPlaces = 4;

/** Places that are filled by one statement at a time. */
interface Way {
  places: number;
  readonly takesLong: boolean;
  used: number;
  /** There may be something that it has not looked for. */
  isAnnounced: boolean;
  /** There was more than it had places for. */
  hasMore: boolean;
  underWay: Promise<void> | null;
  /** Since when it has an empty place that it has not asked to fill. */
  emptySinceMs: number | null;
}

/**
 * While only long queues wait, a place that came free may stay empty for this part of the time that executions keep one: those that come free meanwhile
 * are filled with it, by one statement, and what is taken together is mostly written together, too.
 */
const emptyOfTime = 0.1;
const longestEmptyMs = 50;
/** Timers are no finer. */
const shortestEmptyMs = 2;

/** Of what is due at an hour nobody tells. */
const pollEveryMs = 2_500;
const mostAtOnce = 500;
const firstPauseMs = 50;
const longestPauseMs = 2_000;
/** What refused to be taken is graphile-worker's by then; the others wait for hardly anything. */
const longestRefusalMs = 200;
const sortEveryMs = 200;
/** Sorting may take this part of the time. */
const sortOfTime = 0.1;

export class Intake<Claim> {
  readonly #options: IntakeOptions<Claim>;
  readonly #main: Way;
  readonly #side: Way;
  /** Hands what is passed by to graphile-worker. */
  leave: () => void = () => undefined;
  /** Who waits for a place of the main way. */
  readonly #inLine: ((isThere: boolean) => void)[] = [];
  #isScheduled = false;
  /** An answer was lost: the database may take executions for ours that we know nothing of. */
  #isUnsure = false;
  #failures = 0;
  #pauseMs = 0;
  /** After a failure nothing is asked before this time. */
  #notBeforeMs = 0;
  #poll: NodeJS.Timeout | null = null;
  #sorting: NodeJS.Timeout | null = null;
  #filling: NodeJS.Timeout | null = null;
  /** How long an execution keeps its place. */
  #keptMs = 0;
  #isClosed = false;

  constructor(options: IntakeOptions<Claim>) {
    this.#options = options;
    const kept = keptOf(options.places);
    this.#main = { places: options.places - kept, takesLong: true, ...nothingYet };
    this.#side = { places: kept, takesLong: false, ...nothingYet };
  }

  /** There may be something. */
  look(): void {
    this.#main.isAnnounced = true;
    this.#side.isAnnounced = true;
    this.#soon();
  }

  /** A place for an execution that comes on another way; it is left with `leavePlace`. False: the intake is closed, and there is none. */
  async place(): Promise<boolean> {
    if (this.#isClosed) return false;
    if (this.#main.used < this.#main.places) {
      this.#main.used += 1;
      return true;
    }
    return new Promise((resolve) => this.#inLine.push(resolve));
  }

  leavePlace(): void {
    this.#free(this.#main);
  }

  /** Resolves when nothing more will be begun. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const refuse of this.#inLine.splice(0)) refuse(false);
    if (this.#poll !== null) clearTimeout(this.#poll);
    if (this.#sorting !== null) clearTimeout(this.#sorting);
    if (this.#filling !== null) clearTimeout(this.#filling);
    await Promise.all([this.#main.underWay, this.#side.underWay]);
  }

  /** After the present burst of work: places that come free together are filled together. */
  #soon(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#fill();
    });
  }

  #fill(): void {
    if (this.#isClosed) return;
    if (this.#send(this.#main)) this.#side.isAnnounced = false;
    else if (this.#side.isAnnounced && this.#side.used === this.#side.places) this.#keepOneMore();
    this.#send(this.#side);
  }

  #keepOneMore(): void {
    if (this.#side.places === 0 || this.#side.places >= Math.floor(this.#options.places / mostKeptOfPlaces)) return;
    this.#side.places += 1;
    this.#main.places -= 1;
  }

  #keepNoMore(): void {
    this.#side.places = keptOf(this.#options.places);
    this.#main.places = this.#options.places - this.#side.places;
  }

  /** False: nothing is to be asked, or nothing can be. */
  #send(way: Way): boolean {
    const wanted = Math.min(mostAtOnce, way.places - way.used, this.#options.places - this.#main.used - this.#side.used);
    if (way.underWay !== null || wanted <= 0 || !(way.isAnnounced || way.hasMore) || performance.now() < this.#notBeforeMs) return false;
    // What another answer brings is not known while it is awaited: nothing is forgotten meanwhile.
    if (this.#isUnsure && (this.#main.underWay ?? this.#side.underWay) !== null) return false;
    if (this.#mayStayEmpty(way, wanted)) return false;
    way.isAnnounced = false;
    way.emptySinceMs = null;
    way.underWay = this.#take(way, wanted);
    return true;
  }

  /** Never when something may have come: only what waits in a long queue anyway waits a little longer. */
  #mayStayEmpty(way: Way, wanted: number): boolean {
    if (way.isAnnounced || !way.takesLong || wanted >= way.places / 2) return false;
    way.emptySinceMs ??= performance.now();
    const leftMs = way.emptySinceMs + Math.min(longestEmptyMs, this.#keptMs * emptyOfTime) - performance.now();
    if (leftMs < shortestEmptyMs) return false;
    this.#filling ??= setTimeout(() => {
      this.#filling = null;
      this.#fill();
    }, leftMs);
    return true;
  }

  async #take(way: Way, wanted: number): Promise<void> {
    const portion = await this.#ask(wanted, way.takesLong ? wanted : 0);
    way.underWay = null;
    if (portion === null) {
      this.#notBeforeMs = performance.now() + this.#pauseMs;
      this.#pollIn(this.#pauseMs + 1);
      return;
    }
    const { short, long, passedBy, claims } = portion;
    way.hasMore = short + long === wanted;
    if (short === wanted) this.#main.isAnnounced = this.#side.isAnnounced = true;
    way.used += claims.length;
    if (claims.length > 0) this.#options.onTaken(claims.length);
    if (long > 0 || short === wanted) this.#sortIn(0);
    if (passedBy > 0) this.leave();
    this.#pollIn(pollEveryMs);
    // Before anything else is asked: what has not begun would be forgotten.
    const begunMs = performance.now();
    for (const claim of claims) void this.#options.begin(claim).then(() => {
      this.#keptMs += (performance.now() - begunMs - this.#keptMs) / 10;
      this.#free(way);
    });
    this.#fill();
  }

  #free(way: Way): void {
    const next = way === this.#main ? this.#inLine.shift() : undefined;
    if (next !== undefined) return next(true);
    way.used -= 1;
    this.#soon();
  }

  /** Null: it failed. */
  async #ask(wanted: number, ofLong: number): Promise<Portion<Claim> | null> {
    try {
      if (this.#isUnsure) await this.#options.forget();
      this.#isUnsure = false;
      const portion = await this.#options.take(wanted, ofLong);
      this.#failures = 0;
      this.#notBeforeMs = 0;
      return portion;
    } catch (error) {
      this.#failures += 1;
      this.#options.log.warn({ error: (error as Error).message, failures: this.#failures }, 'could not take what is to be done; trying again');
      // One that cannot be claimed would stand before all others; graphile-worker takes each by itself.
      const isRefusal = !isPassing(error) && !isUnknownWorker(error);
      this.#pauseMs = Math.min(isRefusal ? longestRefusalMs : longestPauseMs, firstPauseMs * 2 ** this.#failures);
      if (isRefusal) this.leave();
      else if (isPassing(error)) this.#isUnsure = true;
      else this.#options.onUnknown();
      return null;
    }
  }

  #pollIn(ms: number): void {
    if (this.#isClosed) return;
    if (this.#poll !== null) clearTimeout(this.#poll);
    this.#poll = setTimeout(() => this.look(), ms);
  }

  #sortIn(ms: number): void {
    if (this.#sorting !== null || this.#isClosed) return;
    this.#sorting = setTimeout(() => void this.#sort(), ms);
    this.#sorting.unref();
  }

  async #sort(): Promise<void> {
    const startedMs = performance.now();
    let long = 0;
    try {
      long = await this.#options.sort();
    } catch (error) {
      this.#options.log.warn({ error: (error as Error).message }, 'could not put long queues behind others; the next time will do');
    }
    if (long === 0) this.#keepNoMore();
    const pauseMs = Math.max(sortEveryMs, (performance.now() - startedMs) / sortOfTime);
    if (this.#isClosed) return;
    // Until it is over nobody asks again; then it goes on while queues are long.
    this.#sorting = setTimeout(() => {
      this.#sorting = null;
      if (long > 0) this.#sortIn(0);
    }, pauseMs);
    this.#sorting.unref();
  }
}

function keptOf(places: number): number {
  return places === 1 ? 0 : Math.max(1, Math.floor(places / keptOfPlaces));
}

const nothingYet = { used: 0, isAnnounced: false, hasMore: false, underWay: null, emptySinceMs: null };
