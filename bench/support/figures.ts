/** Times of many runs, in milliseconds. */
export interface Figures {
  runs: number;
  median: number;
  p95: number;
}

/** Runs `work` a few times to get warm, then for `seconds`. */
export async function measured(seconds: number, work: () => unknown): Promise<Figures> {
  for (let i = 0; i < 20; i += 1) await work();
  const times: number[] = [];
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    const started = performance.now();
    await work();
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(times.length * share)]! * 1_000) / 1_000;
  return { runs: times.length, median: at(0.5), p95: at(0.95) };
}
