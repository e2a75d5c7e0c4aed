/**
 * How far the heap may grow between collections. V8 by itself lets it become four times what is alive, and its young part 96 MB: that saves time where
 * little is alive. Thousands of executions that wait for answers are alive for long, and would become a gigabyte.
 */
import v8 from 'node:v8';

const manyAtOnce = 1_000;

/** For the whole process, from now on. `concurrency`: executions driven at a time. */
export function boundHeap(concurrency: number): void {
  if (concurrency <= manyAtOnce) return;
  v8.setFlagsFromString('--heap-growing-percent=40');
  // The young part stays as large as it is by now.
  v8.setFlagsFromString('--semi-space-growth-factor=1');
}
