/**
 * A lane sends what many callers want to write as one statement: one statement in flight, and what arrives meanwhile goes with the next.
 * There is no timer, so an idle lane adds nothing to the time of a single call. Order of arrival is order of writing.
 */

export interface LaneOptions<Item, Result> {
  /** Writes all items in one transaction; results in the order of the items. */
  send(items: Item[]): Promise<Result[]>;
  maxItems: number;
  /** Sum of `weight` (bytes) that one statement may carry; a heavier single item goes alone. */
  maxWeight: number;
  weight?(item: Item): number;
  /** Told how many items each statement carries. */
  onSend?(count: number): void;
}

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

export class Lane<Item, Result> {
  readonly #options: LaneOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #running = false;
  #idle: (() => void)[] = [];

  constructor(options: LaneOptions<Item, Result>) {
    this.#options = options;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // After the present burst of work, so that what starts together is written together.
      setImmediate(() => void this.#run());
    });
  }

  /** Resolves when everything added so far, and meanwhile, is written or refused. */
  async drained(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#take());
    this.#running = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #take(): Waiting<Item, Result>[] {
    const { maxItems, maxWeight, weight } = this.#options;
    let count = 0;
    for (let sum = 0; count < Math.min(maxItems, this.#waiting.length); count += 1) {
      sum += weight?.(this.#waiting[count]!.item) ?? 0;
      if (count > 0 && sum > maxWeight) break;
    }
    return this.#waiting.splice(0, count);
  }

  /** A statement that fails for good is sent again item by item, so that one bad item fails alone. */
  async #send(batch: Waiting<Item, Result>[]): Promise<void> {
    this.#options.onSend?.(batch.length);
    try {
      const results = await this.#options.send(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index]!));
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(error);
      else for (const single of batch) await this.#send([single]);
    }
  }
}
