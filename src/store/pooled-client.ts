/**
 * Connections through a pooler that hands PostgreSQL's own out for one transaction at a time. A prepared statement is on one of those, and the
 * next transaction is on another one, so nothing is prepared here: names of statements are left out.
 */
import pg from 'pg';

/** Does the connection string say that it leads through a pooler (`?pgbouncer=true`)? */
export function leadsThroughPooler(connectionString: string): boolean {
  return URL.parse(connectionString)?.searchParams.get('pgbouncer') === 'true';
}

export class PooledClient extends pg.Client {
  readonly preparesNothing = true;

  // The overloads of pg.Client.query are more than this needs to know: whatever has a name loses it.
  override query(...given: unknown[]): never {
    const [config, ...rest] = given;
    const send = super.query.bind(this) as (...words: unknown[]) => never;
    return send(isNamed(config) ? { ...config, name: undefined } : config, ...rest);
  }
}

export function preparesNothing(client: object): boolean {
  return 'preparesNothing' in client;
}

/** A plain statement with a name; what sends itself (a cursor, a query of ours) does as it likes. */
function isNamed(config: unknown): config is { name: string } {
  return typeof config === 'object' && config !== null && 'name' in config && !('submit' in config);
}
