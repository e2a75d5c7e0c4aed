/** What models cost, read again every minute while somebody asks. */
import { tokenCostUnits, unitsPerDollar } from '../engine/index.ts';
import type { ModelPrice } from '../store/engine-store.ts';

const keepMs = 60_000;

/** Functions that may be handed on alone. */
export interface Pricing {
  /** Units of 1e-10 US dollars; 0 for a model whose price is not known. */
  costUnits(model: string, inputTokens: number, outputTokens: number): number;
  /** The same for one picture. */
  imageCostUnits(model: string): number;
}

export class PriceBook implements Pricing {
  readonly #load: () => Promise<ModelPrice[]>;
  #prices = new Map<string, ModelPrice>();
  #loadedAt = -Infinity;
  #loading: Promise<void> | null = null;

  constructor(load: () => Promise<ModelPrice[]>) {
    this.#load = load;
  }

  /** Resolves when prices of the last minute are there. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#loadedAt < keepMs) return;
    this.#loading ??= this.#load().then((prices) => {
      this.#prices = new Map(prices.map((price) => [price.model, price]));
      this.#loadedAt = performance.now();
    }).finally(() => {
      this.#loading = null;
    });
    await this.#loading;
  }

  /** By name; a dated name (`gpt-4o-2024-08-06`) that is not listed costs what its model does. Null: not known. */
  of(model: string): ModelPrice | null {
    return this.#prices.get(model) ?? this.#prices.get(model.replace(/-(?:\d{4}-\d{2}-\d{2}|\d{8}|latest)$/, '')) ?? null;
  }

  readonly costUnits = (model: string, inputTokens: number, outputTokens: number): number => {
    const price = this.of(model);
    return price === null ? 0 : tokenCostUnits(price, inputTokens, outputTokens);
  };

  readonly imageCostUnits = (model: string): number => Math.round((this.of(model)?.perImage ?? 0) * unitsPerDollar);
}
