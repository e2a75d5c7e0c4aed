/** Does the proof notice every mutation? Each is made, proved and taken back; unnoticed ones are the answer. */
import type pg from 'pg';
import { allMutations, mutationKinds, type Mutation } from './mutations.ts';
import { openBed, pieces, proveIn, withMutation, type Bed, type Piece, type Proof } from './proof.ts';

export interface MutationScore {
  tried: number;
  noticed: number;
  /** By kind of mutation. */
  byKind: Record<string, number>;
  unnoticed: string[];
}

export interface Choice {
  /** Every n-th mutation, from the first on. Default 1: all. */
  every?: number;
  /** Default: all. */
  kinds?: readonly Mutation['kind'][];
  say?: (line: string) => void;
}

/** So many mutations are tried in one transaction: what they leave behind in the catalog slows later ones down. */
const mutationsInBed = 60;

/** `client` is a superuser, and nobody else uses the database. */
export async function runMutations(client: pg.ClientBase, { every = 1, kinds = mutationKinds, say = () => undefined }: Choice = {}): Promise<MutationScore> {
  await client.query(`set search_path = ''`);
  const mutations = (await allMutations(client)).filter(({ kind }) => kinds.includes(kind)).filter((_, index) => index % every === 0);
  const baselines = new Map<string, Proof>();
  const score: MutationScore = { tried: 0, noticed: 0, byKind: {}, unnoticed: [] };
  for (let start = 0; start < mutations.length; start += mutationsInBed) {
    const bed = await openBed(client);
    const told = score.unnoticed.length;
    for (const mutation of mutations.slice(start, start + mutationsInBed)) {
      score.tried += 1;
      score.byKind[mutation.kind] = (score.byKind[mutation.kind] ?? 0) + 1;
      if (await isNoticed(client, bed, mutation, baselines)) score.noticed += 1;
      else score.unnoticed.push(mutation.sql);
    }
    await client.query('rollback');
    say(`${score.tried} of ${mutations.length}, noticed ${score.noticed}${score.unnoticed.slice(told).map((sql) => `\n  not: ${sql}`).join('')}`);
  }
  return score;
}

/** What is likely to notice comes first: the proof ends there. */
const likely: Record<Mutation['kind'], readonly Piece[]> = {
  policy: ['reach', 'tenancy', 'walls'], 'row security': ['reach', 'walls'], trigger: ['writes', 'tenancy'], reference: ['references', 'writes'], right: [],
};

/** Another record, or a problem that was not there before; a proof that cannot be made any more is noticed too. */
async function isNoticed(client: pg.ClientBase, bed: Bed, { kind, part, sql }: Mutation, baselines: Map<string, Proof>): Promise<boolean> {
  const isTable = typeof part === 'object' && part !== null && 'only' in part;
  const steps = isTable ? [...new Set([...likely[kind], ...pieces])].map((piece) => [piece]) : [[]];
  const keyOf = (step: readonly Piece[]): string => JSON.stringify([part, step]);
  for (const step of steps) if (!baselines.has(keyOf(step))) baselines.set(keyOf(step), await withMutation(client, 'select', () => proveIn(client, bed, part, step)));
  return withMutation(client, sql, async () => {
    for (const step of steps) {
      const proof = await proveIn(client, bed, part, step).catch((error: Error & { code?: string }) => {
        if (error.code === undefined) throw error;
        return null;
      });
      const baseline = baselines.get(keyOf(step))!;
      if (proof === null || proof.problems.some((problem) => !baseline.problems.includes(problem)) || recordOf(proof) !== recordOf(baseline)) return true;
    }
    return false;
  });
}

function recordOf({ record }: Proof): string {
  return JSON.stringify(Object.entries(record).map(([name, lines]) => [name, Object.entries(lines).sort()]));
}
