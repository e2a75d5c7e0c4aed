/**
 * Operations that were registered beforehand: with them, nothing else is served to those who are no admins. A file or a folder holds them, as
 * `.graphql` files (each operation with the fragments that it spreads) or as manifests: JSON of the form `{"<id>": "<query>"}` (as Relay's compiler
 * writes it) or `{"operations": [{"id", "body"}]}` (as Apollo's tools do). A client sends the id, or the text itself.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type DefinitionNode, type DocumentNode, type FragmentDefinitionNode, Kind, parse, print, visit } from 'postgraphile/graphql';
import { AgentFlowError } from '../errors.ts';
import type { Identity } from './identity.ts';
import { ownOperations } from './pages.ts';

export interface TrustedDocument {
  /** SHA-256 of the text in hex, unless the manifest has an id of its own. */
  id: string;
  query: string;
  file: string;
}

export class TrustedDocuments {
  readonly #byId: ReadonlyMap<string, string>;
  /** Hashes of texts, so that a client may also send what is registered in full. */
  readonly #hashes: ReadonlySet<string>;

  constructor(documents: readonly Pick<TrustedDocument, 'id' | 'query'>[]) {
    this.#byId = new Map(documents.flatMap(({ id, query }) => [[id, query], [hashOf(query), query]]));
    this.#hashes = new Set([...documents.map(({ query }) => hashOf(query)), ...ownOperations.map(hashOf)]);
  }

  find(documentId: string): string | undefined {
    return this.#byId.get(documentId.replace(/^sha256:/, ''));
  }

  has(query: string): boolean {
    return this.#hashes.has(hashOf(query));
  }

  /** Admins may send what they like, in person: their keys are in programs. Throws DOCUMENT_NOT_TRUSTED. */
  demand(query: string, identity: Identity): void {
    if (identity.kind === 'session' && identity.role === 'admin') return;
    if (!this.has(query)) throw new AgentFlowError('DOCUMENT_NOT_TRUSTED', undefined, { details: { field: 'query' } });
  }
}

/** Without spaces around it, as editors leave them. */
export function hashOf(query: string): string {
  return createHash('sha256').update(query.trim()).digest('hex');
}

/** Throws CONFIG_INVALID with everything that is wrong in the files. */
export function readTrustedDocuments(place: string): TrustedDocument[] {
  const problems: string[] = [];
  const files = filesAt(place, problems);
  const texts = files.map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const manifests = texts.filter(({ file }) => file.endsWith('.json')).flatMap((entry) => fromManifest(entry, problems));
  const documents = [...manifests, ...fromGraphql(texts.filter(({ file }) => !file.endsWith('.json')), problems)];
  if (documents.length === 0 && problems.length === 0) problems.push(`${place}: there are no operations in it`);
  if (problems.length === 0) return documents;
  throw new AgentFlowError('CONFIG_INVALID', `The trusted documents cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`, {
    remedy: 'Correct the places named; docs/api.md says what the files look like.', details: { problems },
  });
}

function filesAt(place: string, problems: string[]): string[] {
  try {
    if (!statSync(place).isDirectory()) return [place];
    const names = readdirSync(place, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => /\.(graphql|gql|json)$/.test(name)).toSorted().map((name) => path.join(place, name));
  } catch (error) {
    problems.push(`${place}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'}`);
    return [];
  }
}

interface FileText {
  file: string;
  text: string;
}

function fromManifest({ file, text }: FileText, problems: string[]): TrustedDocument[] {
  try {
    const manifest: unknown = JSON.parse(text);
    const entries = entriesOf(manifest);
    if (entries === null) problems.push(`${file}: is no object of ids and queries, and has no list "operations" of {id, body}`);
    return (entries ?? []).map(({ id, query }) => ({ id, query: asParsed(query), file }));
  } catch (error) {
    problems.push(`${file}: ${(error as Error).message}`);
    return [];
  }
}

function entriesOf(manifest: unknown): { id: string; query: string }[] | null {
  if (typeof manifest !== 'object' || manifest === null || Array.isArray(manifest)) return null;
  const listed = 'operations' in manifest && Array.isArray(manifest.operations)
    ? manifest.operations.map((entry: { id?: unknown; body?: unknown } | null) => [entry?.id, entry?.body] as const)
    : Object.entries(manifest);
  return listed.every(([id, query]) => typeof id === 'string' && typeof query === 'string') ? listed.map(([id, query]) => ({ id: id as string, query: query as string })) : null;
}

/** The same text, after a look at whether it is GraphQL. */
function asParsed(query: string): string {
  parse(query);
  return query;
}

/** Fragments may be in other files than the operations that spread them. A file that needs no other is also known by its very text. */
function fromGraphql(texts: readonly FileText[], problems: string[]): TrustedDocument[] {
  const parsed = texts.flatMap(({ file, text }) => {
    try {
      return [{ file, text, document: parse(text) }];
    } catch (error) {
      problems.push(`${file}: ${(error as Error).message}`);
      return [];
    }
  });
  const fragments = new Map(parsed.flatMap(({ document }) => document.definitions).filter((one): one is FragmentDefinitionNode => one.kind === Kind.FRAGMENT_DEFINITION).map((one) => [one.name.value, one]));
  return parsed.flatMap(({ file, text, document }) => {
    const operations = document.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    const whole = operations.length > 0 && spreadsOf(document).every((name) => ownFragments(document).has(name)) ? [text.trim()] : [];
    const written = operations.map((operation) => print(withFragments(operation, fragments, file, problems)));
    return [...new Set([...whole, ...written])].map((query) => ({ id: hashOf(query), query, file }));
  });
}

function spreadsOf(node: DocumentNode | DefinitionNode): string[] {
  const names: string[] = [];
  visit(node, { [Kind.FRAGMENT_SPREAD]: ({ name: { value } }) => void names.push(value) });
  return names;
}

function ownFragments({ definitions }: DocumentNode): Set<string> {
  return new Set(definitions.flatMap((definition) => (definition.kind === Kind.FRAGMENT_DEFINITION ? [definition.name.value] : [])));
}

function withFragments(operation: DefinitionNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>, file: string, problems: string[]): DocumentNode {
  const needed = new Map<string, FragmentDefinitionNode>();
  const look = (definition: DefinitionNode): void => {
    for (const name of spreadsOf(definition)) {
      const fragment = fragments.get(name);
      if (!fragment) problems.push(`${file}: the fragment ${name} is in none of the files`);
      if (!fragment || needed.has(name)) continue;
      needed.set(name, fragment);
      look(fragment);
    }
  };
  look(operation);
  return { kind: Kind.DOCUMENT, definitions: [operation, ...needed.values()] };
}
