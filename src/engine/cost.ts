/** Money without rounding errors: whole units of 1e-10 US dollars, rounded once, at the end. */

/** Units in one US dollar. */
export const unitsPerDollar = 10_000_000_000;

export interface Price {
  /** US dollars per million tokens. */
  inputPerMillion: number;
  outputPerMillion: number;
}

/** Cost of a call in units of 1e-10 dollars, a whole number. */
export function tokenCostUnits(price: Price, inputTokens: number, outputTokens: number): number {
  const unitsPerToken = (dollarsPerMillion: number): number => (dollarsPerMillion * unitsPerDollar) / 1_000_000;
  return Math.round(unitsPerToken(price.inputPerMillion) * inputTokens + unitsPerToken(price.outputPerMillion) * outputTokens);
}

/** Dollars, unrounded. */
export function dollars(units: number): number {
  return units / unitsPerDollar;
}

/** Dollars with 4 places, half up. */
export function roundedDollars(units: number): number {
  return Math.floor((units + 500_000) / 1_000_000) / 10_000;
}
