/** The database's clock, carried on by this process's monotonic one: wall clocks of workers may jump. */
export interface DatabaseClock {
  /** Milliseconds since 1970. */
  now(): number;
}

export function clockFrom(databaseNowMs: number): DatabaseClock {
  const offset = databaseNowMs - performance.now();
  return { now: () => Math.round((performance.now() + offset) * 1_000) / 1_000 };
}
