/** Leases of requests: a process takes some at a time from the buckets that all servers share. */
import type { Pool } from 'pg';

export interface Ask {
  kind: 'tenant' | 'address';
  name: string;
  wanted: number;
  perSecond: number;
  burst: number;
}

export interface Grant {
  granted: number;
  /** Until there will be one again; 0 when something was granted. */
  waitMs: number;
}

/** One statement for all of them; the answers are in the order of the asks, each of which names another bucket. */
export async function takeRequests(pool: Pool, asks: readonly Ask[]): Promise<Grant[]> {
  const { rows } = await pool.query<{ kind: string; name: string; granted: number; wait_ms: number }>({
    name: 'take_requests',
    text: 'select * from app_private.take_requests($1::text[], $2::text[], $3::integer[], $4::float8[], $5::float8[])',
    values: [asks.map(({ kind }) => kind), asks.map(({ name }) => name), asks.map(({ wanted }) => wanted), asks.map(({ perSecond }) => perSecond), asks.map(({ burst }) => burst)],
  });
  const grants = new Map(rows.map(({ kind, name, granted, wait_ms: waitMs }) => [`${kind} ${name}`, { granted, waitMs }]));
  return asks.map(({ kind, name }) => grants.get(`${kind} ${name}`)!);
}
