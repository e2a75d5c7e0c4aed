/**
 * How far the heap may grow between collections. V8 by itself lets it become four times what is alive, and its young part 96 MB: that saves time where
 * little is alive. Thousands of executions that wait for answers are alive for long, and would become a gigabyte.
 */
import os from 'node:os';
import v8 from 'node:v8';

const manyAtOnce = 1_000;
/** With no more, V8's helpers take their time from PostgreSQL and from other workers. */
const fewCores = 4;

/** For the whole process, from now on. `concurrency`: executions driven at a time. */
export function boundHeap(concurrency: number): void {
  // Young objects are collected by one thread: a twentieth of a worker's time less than by several that share the work and wait for each other.
  if (os.availableParallelism() <= fewCores) v8.setFlagsFromString('--no-parallel-scavenge');
  if (concurrency <= manyAtOnce) return;
  v8.setFlagsFromString('--heap-growing-percent=40');
  // The young part stays as large as it is by now.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
}
