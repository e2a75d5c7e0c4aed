/** What is written of one execution under its lease: the rows of its nodes, in order, and how it ended or was given back. */
import type { ClaimedExecution, Ending, NodeRow } from '../store/rows.ts';
import { isFlowRunId } from '../store/flow-run-id.ts';
import type { WorkerMetrics } from './worker-metrics.ts';
import type { ExecutionStore, ExecutionWorld } from './world.ts';

export class Journal {
  readonly #claim: ClaimedExecution;
  readonly #store: ExecutionStore;
  readonly #metrics: WorkerMetrics;
  readonly #onLost: () => void;
  #rows: NodeRow[] = [];
  #saving: Promise<void> = Promise.resolve();
  /** Whether the database shows the execution as running. */
  #isBegun: boolean;
  /** The rows hold what a node with an effect did. */
  mustSave = false;
  /** Told when nodes that have ended are written. */
  onProgress: (() => void) | null = null;

  /** `onLost`: told when a write was refused because the lease is lost. */
  constructor(claim: ClaimedExecution, { store, metrics }: Pick<ExecutionWorld, 'store' | 'metrics'>, onLost: () => void) {
    this.#claim = claim;
    this.#store = store;
    this.#metrics = metrics;
    this.#onLost = onLost;
    this.#isBegun = claim.isBegun;
  }

  get isBegun(): boolean {
    return this.#isBegun;
  }

  add(...rows: NodeRow[]): void {
    for (const row of rows) {
      this.#rows.push(row);
      if (row.completedMs !== null && row.status !== 'skipped') this.#metrics.node(row.nodeType, row.status, row);
    }
  }

  /** Writes what is known by now, and marks the execution as running when it `shows`. Rejects when that cannot be written; a lost lease is told instead. */
  save(shows = false): Promise<void> {
    const begins = shows && !this.#isBegun;
    this.#isBegun ||= begins;
    const rows = this.#taken();
    const saved = this.#store.checkpoint(this.#claim, rows, begins).then((isHeld) => {
      if (!isHeld) this.#onLost();
      else if (this.onProgress !== null && rows.some(({ finishOrder }) => finishOrder !== null)) this.onProgress();
    });
    // What follows must not overtake it; whether it failed is said to whoever asked for it.
    this.#saving = saved;
    return saved;
  }

  /** The last thing that is written. */
  finish(ending: Ending): Promise<boolean> {
    const rows = this.#taken();
    this.#metrics.ended(isFlowRunId(this.#claim.executionId) ? 'flow' : 'workflow', ending.status);
    return this.#afterwards(() => this.#store.finish(this.#claim, rows, ending));
  }

  /** The last thing that is written. `runAt`: when to go on, ISO; null: when an event wakes it. */
  release(runAt: string | null): Promise<boolean> {
    const rows = this.#taken();
    return this.#afterwards(() => this.#store.release(this.#claim, rows, runAt, !this.#isBegun));
  }

  #afterwards(write: () => Promise<boolean>): Promise<boolean> {
    return this.#saving.then(write, write);
  }

  #taken(): NodeRow[] {
    const rows = this.#rows;
    this.#rows = [];
    this.mustSave = false;
    return rows;
  }
}
