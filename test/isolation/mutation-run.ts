/** Does the proof notice every mutation? Each is made, proved and taken back; unnoticed ones are the answer. */
import type pg from 'pg';
import { allMutations, type Mutation } from './mutations.ts';
import { openBed, proveMutation, type Bed, type Proof } from './proof.ts';

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
  say?: (line: string) => void;
}

/** So many mutations are tried in one transaction: what they leave behind in the catalog slows later ones down. */
const mutationsInBed = 60;

/** `client` is a superuser, and nobody else uses the database. */
export async function runMutations(client: pg.ClientBase, { every = 1, say = () => undefined }: Choice = {}): Promise<MutationScore> {
  await client.query(`set search_path = ''`);
  const mutations = (await allMutations(client)).filter((_, index) => index % every === 0);
  const baselines = new Map<string, Proof>();
  const score: MutationScore = { tried: 0, noticed: 0, byKind: {}, unnoticed: [] };
  for (let start = 0; start < mutations.length; start += mutationsInBed) {
    const bed = await openBed(client);
    for (const mutation of mutations.slice(start, start + mutationsInBed)) {
      const name = JSON.stringify(mutation.part);
      const baseline = baselines.get(name) ?? await proveMutation(client, bed, mutation.part, null);
      baselines.set(name, baseline);
      score.tried += 1;
      score.byKind[mutation.kind] = (score.byKind[mutation.kind] ?? 0) + 1;
      if (await isNoticed(client, bed, mutation, baseline)) score.noticed += 1;
      else score.unnoticed.push(mutation.sql);
    }
    await client.query('rollback');
    say(`${score.tried} of ${mutations.length}, noticed ${score.noticed}${score.unnoticed.map((sql) => `\n  not: ${sql}`).join('')}`);
  }
  return score;
}

/** Another record, or a problem that was not there before; a proof that cannot even be made is noticed too. */
async function isNoticed(client: pg.ClientBase, bed: Bed, mutation: Mutation, baseline: Proof): Promise<boolean> {
  let proof: Proof;
  try {
    proof = await proveMutation(client, bed, mutation.part, mutation.sql);
  } catch (error) {
    if ((error as { code?: string }).code === undefined) throw error;
    return true;
  }
  return proof.problems.some((problem) => !baseline.problems.includes(problem)) || recordOf(proof) !== recordOf(baseline);
}

function recordOf({ record }: Proof): string {
  return JSON.stringify(Object.entries(record).map(([name, lines]) => [name, Object.entries(lines).sort()]));
}
