/** Many requests at a time over HTTP, and how long they took. */
import { Pool } from 'undici';

export interface Load {
  url: string;
  /** The next request. */
  next(): { path: string; method: 'GET' | 'POST'; headers: Record<string, string>; body?: string };
  /** Throws when the answer is not what was asked for; sees some of the answers, the first always. */
  check(text: string): void;
}

export interface LoadFigures {
  /** Requests a second. */
  rate: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  requests: number;
}

const checkEach = 50;

/** Throws on the first answer that is not 200, or that `check` refuses. */
export async function underLoad(load: Load, connections: number, seconds: number): Promise<LoadFigures> {
  const pool = new Pool(load.url, { connections, pipelining: 1 });
  const times: number[] = [];
  const started = performance.now();
  const end = started + seconds * 1_000;
  const client = async (): Promise<void> => {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      const { statusCode, body } = await pool.request(load.next());
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`HTTP ${statusCode}: ${text.slice(0, 500)}`);
      if (times.length % checkEach === 0) load.check(text);
      times.push(performance.now() - sent);
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, client));
  } finally {
    await pool.close();
  }
  const took = (performance.now() - started) / 1_000;
  times.sort((a, b) => a - b);
  const at = (share: number): number => Math.round(times[Math.floor(share * times.length)]! * 100) / 100;
  return { rate: times.length / took, p50: at(0.5), p99: at(0.99), requests: times.length };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
