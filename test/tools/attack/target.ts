/** What the attacks are run against: a server of its own on a database of its own, with two tenants and people of every role. */
import { startApi, type Answer, type TestApi } from '../../support/api.ts';
import { errorRegistry } from '../../../src/errors.ts';
import type { FaceConfig } from '../../../src/config.ts';

export interface Target {
  api: TestApi;
  /** Sends a body as somebody; never throws for what the server answers. */
  send(caller: string, query: string, variables?: object): Promise<Answer>;
}

/** How much is tried: the short form is for every commit. */
export type Scale = 'short' | 'long';

export interface Finding {
  attack: string;
  tried: number;
  /** Counts of what must not be, each 0 when all is well. */
  bad: Record<string, number>;
  note: string;
}

export interface Attack {
  name: string;
  /** Of the server that it needs. */
  face?: Partial<FaceConfig>;
  run(target: Target, scale: Scale): Promise<Finding>;
}

export async function startTarget(face: Partial<FaceConfig> = {}): Promise<Target & { stop(): Promise<void> }> {
  const api = await startApi({ face });
  return {
    api,
    // A connection that its server has just closed for idleness is no answer; nothing was begun on it.
    send: (caller, query, variables) => api.query(caller, query, variables).catch((error: unknown) => {
      if ((error as Error).message !== 'fetch failed') throw error;
      return api.query(caller, query, variables);
    }),
    async stop() {
      await api.server.close(1_000);
      await api.db.drop();
    },
  };
}

/** What only PostgreSQL, Node or a file of ours would say. */
const unmasked = /node_modules|\.(?:ts|js):\d+|\bat [\w.]+ \(|relation "|column "|violates |syntax error at|permission denied for|pg_catalog|app_private\.|\bSELECT\b.+\bFROM\b/i;

/** What is wrong with an answer, whatever was asked. */
export function faultsOf({ status, errors, text }: Answer): string[] {
  return [
    ...(status >= 500 && status !== 503 && status !== 504 ? ['5xx'] : []),
    ...(errors?.some(({ extensions }) => extensions?.code === 'INTERNAL') ? ['internal'] : []),
    ...(errors?.some(({ extensions }) => !(String(extensions?.code) in errorRegistry)) ? ['without code'] : []),
    ...(errors?.some(({ message }) => unmasked.test(message)) ? ['unmasked'] : []),
    ...(status === 200 && !text.startsWith('{') ? ['no JSON'] : []),
  ];
}

export class Counter {
  readonly counts: Record<string, number> = {};
  /** The first of each kind, to be looked at. */
  readonly examples: Record<string, string> = {};

  constructor(...kinds: string[]) {
    for (const kind of kinds) this.counts[kind] = 0;
  }

  add(kind: string, example: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.examples[kind] ??= example.slice(0, 1_000);
  }
}

/** `width` at a time. */
export async function eachOf<T>(items: readonly T[], width: number, use: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await use(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}

/** The same numbers for the same seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
