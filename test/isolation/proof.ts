/** The whole proof, or the part of it that is about one object, in a transaction that leaves nothing behind. */
import type pg from 'pg';
import { makeAnswers, tryFunctions, tryPower } from './functions.ts';
import { plantGarden, type Garden } from './plant.ts';
import { reachRecord, referencesRecord, rightsRecord, uniqueRecord, writesRecord, type Lines } from './record.ts';
import { privateTables, publicSubjects, type Subject } from './subjects.ts';
import { tryTenancy } from './tenancy.ts';
import { tryPrivate, tryWalls, type Tally } from './walls.ts';
import { tryWorlds } from './worlds.ts';

export interface Proof {
  cases: number;
  /** Rules that hold for every table and are broken. */
  problems: string[];
  /** What the schema does today, by table: compared with what is written down. */
  record: Record<string, Lines>;
}

/** `only`: a table of app_public (with its schema); `named`: a function or view of it; `closed`: what the owner alone may do with a table; null: everything. */
export type Part = { only: string } | { named: string } | { closed: string } | 'rights' | null;

/** What a proof is made in: planted once, it serves many that take back what they do. */
export interface Bed {
  subjects: Subject[];
  garden: Garden;
}

/** `client` is a superuser. `before` runs first, as the owner: a mutation. */
export async function prove(client: pg.ClientBase, part: Part = null, before?: string): Promise<Proof> {
  await client.query('begin');
  try {
    await prepare(client);
    if (before !== undefined) await client.query(before);
    if (part === 'rights') return await proveIn(client, null, part);
    const bed = await plant(client).catch((error: Error) => error);
    if (bed instanceof Error) return { cases: 0, problems: [`Two tenants could not be planted: ${bed.message}`], record: {} };
    return await proveIn(client, bed, part);
  } finally {
    await client.query('rollback');
  }
}

/** Opens a transaction with a bed in it, in which `proveMutation` can be asked many times. The caller ends it. */
export async function openBed(client: pg.ClientBase): Promise<Bed> {
  await client.query('begin');
  await prepare(client);
  return plant(client);
}

/** Runs `use` after the statement, and takes back what both have done. Throws when the statement itself is refused. */
export async function withMutation<T>(client: pg.ClientBase, statement: string, use: () => Promise<T>): Promise<T> {
  await client.query('savepoint mutation');
  try {
    await client.query(statement).catch((error: unknown) => {
      throw new Error(`${statement} cannot be tried: ${(error as Error).message}`, { cause: error });
    });
    return await use();
  } finally {
    await client.query('rollback to savepoint mutation; release savepoint mutation');
  }
}

async function prepare(client: pg.ClientBase): Promise<void> {
  await client.query(`set local search_path = ''`);
  await makeAnswers(client);
  await client.query('set local role agentflow_owner');
}

async function plant(client: pg.ClientBase): Promise<Bed> {
  const subjects = await publicSubjects(client);
  return { subjects, garden: await plantGarden(client, subjects) };
}

/** What is proved of a table of app_public. */
export const pieces = ['reach', 'walls', 'tenancy', 'writes', 'unique', 'references'] as const;
export type Piece = (typeof pieces)[number];

/** `bed` may be null for the rights alone. `wanted`: of tables. */
export async function proveIn(client: pg.ClientBase, bed: Bed | null, part: Part, wanted: readonly Piece[] = pieces): Promise<Proof> {
  const proof: Proof = { cases: 0, problems: [], record: {} };
  const add = ({ cases, problems }: Tally): void => {
    proof.cases += cases;
    proof.problems.push(...problems);
  };
  const write = (name: string, lines: Lines): void => {
    proof.record[name] = { ...proof.record[name], ...lines };
    proof.cases += Object.keys(lines).length;
  };
  const { only = null, named = null, closed = null } = (typeof part === 'object' ? part ?? {} : {}) as { only?: string; named?: string; closed?: string };
  if (part === null || part === 'rights') write('rights', await rightsRecord(client));
  if (bed === null || part === 'rights') return proof;
  const { subjects, garden } = bed;
  proof.problems.push(...garden.barren);
  for (const subject of subjects.filter(({ name }) => part === null || name === only)) await proveTable(client, subject, garden, wanted, add, write);
  if (part === null || closed !== null) {
    const tables = (await privateTables(client)).filter((name) => part === null || name === closed);
    add(await tryPrivate(client, garden, tables));
    add(await tryOwner(client, closed === null ? [...subjects.map(({ name }) => name), ...tables] : [closed]));
  }
  if (part === null) add(await tryPower(client));
  if (part === null || named !== null) {
    const functions = await tryFunctions(client, garden, named);
    add(functions);
    write('functions asked for an unknown id', functions.record);
    add(await tryWorlds(client, garden, named));
  }
  return proof;
}

async function proveTable(client: pg.ClientBase, subject: Subject, garden: Garden, wanted: readonly Piece[], add: (tally: Tally) => void, write: (name: string, lines: Lines) => void): Promise<void> {
  const prove: Record<Piece, () => Promise<void>> = {
    reach: async () => write(subject.name, await reachRecord(client, subject, garden)),
    walls: async () => add(await tryWalls(client, subject, garden)),
    tenancy: async () => add(await tryTenancy(client, subject, garden)),
    writes: async () => write(subject.name, await writesRecord(client, subject, garden)),
    unique: async () => write(subject.name, await uniqueRecord(client, subject)),
    references: async () => {
      const { lines, problems } = await referencesRecord(client, subject, garden);
      write(subject.name, lines);
      add({ cases: 0, problems });
    },
  };
  for (const piece of wanted) await prove[piece]();
}

/** On managed servers the owner cannot bypass row security: every table must show it all rows by a policy. */
async function tryOwner(client: pg.ClientBase, tables: string[]): Promise<Tally> {
  const count = async (name: string): Promise<string> => (await client.query<{ count: string }>(`select count(*) as count from ${name}`)).rows[0]!.count;
  const seen = async (): Promise<string[]> => {
    const counts = [];
    for (const name of tables) counts.push(`${name} ${await count(name)}`);
    return counts;
  };
  const all = await seen();
  const role = `isolation_probe_${process.pid}`;
  await client.query(`reset role; create role ${role} inherit in role agentflow_owner; set local role ${role}`);
  const some = await seen();
  await client.query(`reset role; drop role ${role}; set local role agentflow_owner`);
  const problems = all.filter((line, index) => line !== some[index]).map((line) => `${line.split(' ')[0]} does not show its owner all rows`);
  const empty = (await tablesWithoutPolicy(client)).filter((name) => tables.includes(name));
  return { cases: tables.length * 2, problems: [...problems, ...empty.map((name) => `${name} has no policy that lets its owner read and write everything`)] };
}

/** An empty table shows all of its rows in any case. */
async function tablesWithoutPolicy(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p')
      and not exists (select from pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd = '*' and 'agentflow_owner'::regrole::oid = any (p.polroles)
        and pg_get_expr(p.polqual, p.polrelid) = 'true' and pg_get_expr(p.polwithcheck, p.polrelid) = 'true')
    order by 1`);
  return rows.map(({ name }) => name);
}
