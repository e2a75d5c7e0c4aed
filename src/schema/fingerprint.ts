/** A description of every object of our schemas, read from the catalog, and what two of them differ in. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { haveSameMeaning } from './same-meaning.ts';

/** `table app_public.users` and the like -> all there is to say about it, one line a fact. Only comparable between servers of one major version. */
export type Catalog = ReadonlyMap<string, string>;

export interface Difference {
  object: string;
  /** Seen from what is expected: `missing` is expected and not found, `unexpected` is found and not expected. */
  change: 'missing' | 'unexpected' | 'different';
  /** Lines that only one side has. */
  expected: string[];
  found: string[];
}

/** `public` too: what lies there is found by names that our statements do not qualify. And whatever else a role of ours has made a schema of. */
const schemasOfInterest = `
  select nspname as name from pg_catalog.pg_namespace
  where nspname in ('app_public', 'app_private', 'public') or nspname !~ '^(pg_|graphile_)' and pg_catalog.pg_get_userbyid(nspowner) like 'agentflow\\_%'`;

const queries = readdirSync(path.join(import.meta.dirname, 'catalog')).filter((name) => name.endsWith('.sql')).sort()
  .map((name) => readFileSync(path.join(import.meta.dirname, 'catalog', name), 'utf8'));

interface Fact { kind: string; name: string; place: number; text: string }

/** Reads in a transaction of its own that can write nothing. */
export async function readCatalog(client: pg.ClientBase): Promise<Catalog> {
  return inReadOnly(client, () => readCatalogHere(client));
}

/** The same within a transaction that is open already, seeing what it has done so far. Leaves its search_path empty. */
export async function readCatalogHere(client: pg.ClientBase): Promise<Catalog> {
  await client.query(`set local search_path = ''`); // so that everything the catalog prints is written with its schema
  const schemas = (await client.query<{ name: string }>(schemasOfInterest)).rows.map(({ name }) => name);
  const facts: Fact[] = [];
  for (const query of queries) facts.push(...(await client.query<Fact>(query, [schemas])).rows);
  const objects = Map.groupBy(facts, ({ kind, name }) => `${kind} ${name}`);
  return new Map([...objects].sort(([a], [b]) => byBytes(a, b)).map(([object, lines]) => [object, textOf(lines)]));
}

export async function inReadOnly<T>(client: pg.ClientBase, use: () => Promise<T>): Promise<T> {
  await client.query('begin transaction isolation level repeatable read, read only');
  try {
    return await use();
  } finally {
    await client.query('rollback');
  }
}

export function compareCatalogs(expected: Catalog, found: Catalog): Difference[] {
  const differences: Difference[] = [];
  for (const object of [...new Set([...expected.keys(), ...found.keys()])].sort(byBytes)) {
    const [one, other] = [expected.get(object), found.get(object)];
    if (one === other || (one !== undefined && other !== undefined && haveSameMeaning(one, other))) continue;
    const [left, right] = [one?.split('\n') ?? [], other?.split('\n') ?? []];
    const change = other === undefined ? 'missing' : one === undefined ? 'unexpected' : 'different';
    differences.push({ object, change, expected: left.filter((line) => !right.includes(line)), found: right.filter((line) => !left.includes(line)) });
  }
  return differences;
}

/** Of a table that is missing as a whole, its columns, policies and so on need no line of their own. */
export function summarise(differences: Difference[]): Difference[] {
  const wholes = differences.filter(({ object, change }) => change !== 'different' && /^(table|view) /.test(object))
    .map(({ object, change }) => ({ change, name: object.slice(object.indexOf(' ') + 1) }));
  const isPart = ({ object, change }: Difference): boolean => wholes.some((whole) => whole.change === change && (
    object.startsWith(`column ${whole.name}.`) || object.endsWith(` on ${whole.name}`) || object === `column order of ${whole.name}`));
  return differences.filter((difference) => !isPart(difference));
}

export function describeDifference({ object, change, expected, found }: Difference): string {
  if (change === 'missing') return `${object} is missing`;
  if (change === 'unexpected') return `${object} is not expected`;
  return [`${object} differs`, ...expected.map((line) => `  expected: ${line}`), ...found.map((line) => `  found:    ${line}`)].join('\n');
}

/** Equal for equal catalogs. */
export function catalogHash(catalog: Catalog): string {
  const hash = createHash('sha256');
  for (const [object, text] of catalog) hash.update(`${object}\n${text}\n\n`);
  return hash.digest('hex');
}

function textOf(facts: Fact[]): string {
  return facts.sort((a, b) => a.place - b.place || byBytes(a.text, b.text)).map(({ text }) => asRestored(text)).join('\n');
}

/** PostgreSQL prints `column in ('a', 'b')` of a varchar in one way when it was written, in another once it went through a dump. */
function asRestored(text: string): string {
  return text.replace(/\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]/g, (_all, items: string) =>
    `ARRAY[${items.replace(/'(?:[^']|'')*'::character varying/g, (item) => `(${item})::text`)}]`);
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
