/** Questions to a PostgreSQL that goes away on purpose. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { isPassing } from '../../src/store/retry.ts';

/** Asks again while PostgreSQL is away. */
export async function persistently<Row extends pg.QueryResultRow>(owner: pg.Pool, text: string, values: unknown[] = []): Promise<Row[]> {
  const deadline = performance.now() + 90_000;
  for (;;) {
    try {
      return (await owner.query<Row>(text, values)).rows;
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) throw error;
      await sleep(250);
    }
  }
}
