/**
 * How many jobs this process takes at once, and what it does when there are more. Jobs that lie here wait behind each other, whoever comes
 * meanwhile. While there are always more than fit, those of tenants with long queues are put behind those of others in the database
 * (`app_private.share_turns`), and as long as there are such tenants no more is taken ahead than is begun within some 50 ms.
 */
import type { WorkerEvents } from 'graphile-worker';
import type { WorkerLog } from './log.ts';

/** Of graphile-worker 0.18's LocalQueue. */
export interface LocalQueue {
  mode: string;
  /** Read at each fetch. */
  getJobBatchSize: number;
  /** Slots that have nothing to do. */
  workerQueue: readonly unknown[];
}

export interface IntakeOptions {
  /** Jobs taken at once, at most. */
  most: number;
  /** Told how many jobs were taken since it was last told; resolves to how many tenants have long queues. */
  share(turns: number): Promise<number>;
  log: WorkerLog;
}

const aheadMs = 50;
/** While nobody's queue is long: fewer, larger statements. */
const aheadWithoutQueuesMs = 500;
const firstAhead = 64;
const leastAhead = 4;
/** Sizes are few: each is a prepared statement of its own. */
const step = 4;
const mostSteps = 16;
const shareEveryMs = 100;
/** Sharing may take this part of the time. */
const shareOfTime = 0.1;

export class Intake {
  readonly #options: IntakeOptions;
  /** Jobs that are begun in a second while there are always more. */
  #perSecond = 0;
  #long = 0;
  #last: { atMs: number; count: number; wasFull: boolean } | null = null;
  #turns = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  listen(events: WorkerEvents): void {
    events.on('localQueue:setMode', ({ localQueue, newMode }) => {
      // It fetches right after this; between fetches the size must stay, for it tells from it whether there is more.
      if (newMode === 'POLLING') this.#settle(localQueue as unknown as LocalQueue);
    });
    events.on('localQueue:getJobs:complete', ({ localQueue, jobs }) => this.#taken(jobs.length, (localQueue as unknown as LocalQueue).getJobBatchSize));
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #settle(queue: LocalQueue): void {
    const { most } = this.#options;
    const ahead = this.#long > 0 ? Math.max(leastAhead, this.#perSecond * aheadMs / 1_000) : Math.max(firstAhead, this.#perSecond * aheadWithoutQueuesMs / 1_000);
    queue.getJobBatchSize = Math.min(most, rounded(queue.workerQueue.length + ahead));
  }

  #taken(count: number, size: number, atMs = performance.now()): void {
    const last = this.#last;
    // What was taken last time is begun by now, and there was more all the while.
    if (last?.wasFull === true) this.#perSecond = (this.#perSecond + last.count * 1_000 / Math.max(1, atMs - last.atMs)) / 2;
    this.#last = { atMs, count, wasFull: count >= size };
    this.#turns += count;
    if (count >= size) this.#shareIn(0);
  }

  #shareIn(ms: number): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#share(), ms);
    this.#timer.unref();
  }

  async #share(): Promise<void> {
    const startedMs = performance.now();
    const turns = this.#turns;
    this.#turns = 0;
    try {
      this.#long = await this.#options.share(Math.max(1, turns));
    } catch (error) {
      this.#options.log.warn({ error: (error as Error).message }, 'could not share turns among tenants with long queues; the next time will do');
    }
    const pauseMs = Math.max(shareEveryMs, (performance.now() - startedMs) / shareOfTime);
    if (this.#isClosed) return;
    // Until it is over nobody else asks; then it goes on while queues are long, or when more is taken than fits.
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#long > 0 || this.#last?.wasFull === true) this.#shareIn(0);
    }, pauseMs);
    this.#timer.unref();
  }
}

function rounded(count: number): number {
  return count <= step * mostSteps ? Math.ceil(count / step) * step : 2 ** Math.ceil(Math.log2(count));
}
