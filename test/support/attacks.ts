/** Counts attempts and hits of the attack suites: `npm run attack:sources` makes a table of them, and lets them try everything. */
import { appendFileSync } from 'node:fs';

/** Where lines of the table go; not set in an ordinary run of the tests. */
export const reportVariable = 'SOURCE_ATTACKS_REPORT';

export const isFull = process.env[reportVariable] !== undefined;

export interface AttackLine {
  attack: string;
  attempts: number;
  hits: number;
}

/** `hits`: what should never be; its length is counted, and the test shall say what it is. */
export function report(attack: string, attempts: number, hits: readonly unknown[]): void {
  const file = process.env[reportVariable];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ attack, attempts, hits: hits.length } satisfies AttackLine)}\n`);
}
