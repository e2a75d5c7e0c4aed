/**
 * Bounds on one GraphQL document: depth, fields, aliases, directives, sign-ins. They are looked at before GraphQL validates it, since some of its rules
 * take time that grows with the square of a hostile document. Fragments count where they are spread, and each is measured once.
 */
import { type DocumentNode, type FragmentDefinitionNode, GraphQLError, Kind, type OperationDefinitionNode, type SelectionNode, type SelectionSetNode, type ValueNode } from 'postgraphile/graphql';

export const maxBodyBytes = 3 * 1024 * 1024;
export const maxQueryLength = 100_000;
export const maxTokens = 20_000;
/** Brackets within each other, of whatever kind: see nesting.ts. */
export const maxNesting = 200;
export const maxDepth = 15;
export const maxFields = 500;
export const maxRootFields = 30;
export const maxAliases = 50;
export const maxDirectives = 50;
export const maxOperations = 50;
/** Lists and objects within each other, in a literal and in a variable. */
export const maxLiteralDepth = 30;
export const maxVariableDepth = 300;
/** See variable-parts.ts. A thousand executions can be started at once. */
export const maxVariableParts = 2_000;
/** Rows, roughly: see cost.ts. */
export const maxCost = 10_000;
export const defaultPageSize = 20;
export const maxPageSize = 100;
/** Of rows, for an operation without aliases: each alias may repeat all of them in the answer. */
export const maxAnswerBytes = 32 * 1024 * 1024;
const maxSignIns = 1;
/** What compares or hashes a password, or makes a session. */
const signInFields: ReadonlySet<string> = new Set(['authenticate', 'refreshSession', 'changePassword', 'useAccessLink']);

/** Of a selection set. Sums may be huge, up to Infinity; they are never walked. */
interface Measure {
  depth: number;
  /** Fields and directives in all. */
  fields: number;
  /** Fields of the set itself. */
  ownFields: number;
  aliases: number;
  directives: number;
  literalDepth: number;
  signIns: number;
}

const nothing: Measure = { depth: 0, fields: 0, ownFields: 0, aliases: 0, directives: 0, literalDepth: 0, signIns: 0 };

/** No errors when the document is within the limits; `aliases`: of the operation that has most. */
export function limitsOf(document: DocumentNode): { errors: GraphQLError[]; aliases: number } {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operations.length > maxOperations) {
    return { errors: [limitError({ limit: 'operations', allowed: maxOperations, found: operations.length, message: `The document has ${operations.length} operations` })], aliases: 0 };
  }
  const fragments = new Map(document.definitions.flatMap((definition) =>
    (definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [])));
  const measuring = new Measuring(fragments);
  const measures = operations.map((operation) => ({ operation, measure: measuring.of(operation.selectionSet) }));
  return {
    errors: measures.flatMap(({ operation, measure }) => faultsOf(operation, measure).map((fault) => limitError(fault, operation))),
    aliases: Math.max(0, ...measures.map(({ measure }) => measure.aliases)),
  };
}

interface Fault {
  limit: string;
  allowed: number;
  found: number;
  message: string;
}

function limitError({ message, ...numbers }: Fault, nodes?: OperationDefinitionNode): GraphQLError {
  const text = numbers.limit === 'signIns' ? message : `${message}; at most ${numbers.allowed} are allowed.`;
  return new GraphQLError(text, { nodes, extensions: { code: 'LIMIT_EXCEEDED', ...numbers } });
}

function faultsOf(operation: OperationDefinitionNode, measure: Measure): Fault[] {
  const { depth, fields, ownFields, aliases, signIns } = measure;
  const directives = measure.directives + (operation.directives?.length ?? 0);
  const all: Fault[] = [
    { limit: 'depth', allowed: maxDepth, found: depth, message: `The operation is ${depth} levels deep` },
    { limit: 'fields', allowed: maxFields, found: fields, message: `The operation selects ${fields} fields` },
    { limit: 'rootFields', allowed: maxRootFields, found: ownFields, message: `The operation has ${ownFields} fields at the top` },
    { limit: 'aliases', allowed: maxAliases, found: aliases, message: `The operation has ${aliases} aliases` },
    { limit: 'directives', allowed: maxDirectives, found: directives, message: `The operation has ${directives} directives` },
    { limit: 'literalDepth', allowed: maxLiteralDepth, found: measure.literalDepth, message: `The operation has a value that is ${measure.literalDepth} levels deep` },
    { limit: 'signIns', allowed: maxSignIns, found: signIns, message: 'An operation may sign in once.' },
  ];
  return all.filter(({ allowed, found }) => found > allowed);
}

function literalDepthOf(value: ValueNode): number {
  if (value.kind === Kind.LIST) return 1 + Math.max(0, ...value.values.map(literalDepthOf));
  if (value.kind === Kind.OBJECT) return 1 + Math.max(0, ...value.fields.map((field) => literalDepthOf(field.value)));
  return 0;
}

/** Is anything in it deeper than that? Looks no further than that. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const part of Array.isArray(value) ? value : Object.values(value)) if (isDeeperThan(part, levels - 1)) return true;
  return false;
}

class Measuring {
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #known = new Map<string, Measure>();

  constructor(fragments: ReadonlyMap<string, FragmentDefinitionNode>) {
    this.#fragments = fragments;
  }

  of(selectionSet: SelectionSetNode | undefined): Measure {
    return (selectionSet?.selections ?? []).map((selection) => this.#ofSelection(selection)).reduce((sum, part) => ({
      depth: Math.max(sum.depth, part.depth),
      fields: sum.fields + part.fields,
      ownFields: sum.ownFields + part.ownFields,
      aliases: sum.aliases + part.aliases,
      directives: sum.directives + part.directives,
      literalDepth: Math.max(sum.literalDepth, part.literalDepth),
      signIns: sum.signIns + part.signIns,
    }), nothing);
  }

  #ofSelection(selection: SelectionNode): Measure {
    const directives = selection.directives?.length ?? 0;
    if (selection.kind !== Kind.FIELD) {
      const inner = selection.kind === Kind.FRAGMENT_SPREAD ? this.#ofFragment(selection.name.value) : this.of(selection.selectionSet);
      return { ...inner, fields: inner.fields + directives, directives: inner.directives + directives };
    }
    const inner = this.of(selection.selectionSet);
    const name = selection.name.value;
    return {
      // GraphQL bounds the depth of introspection itself.
      depth: name.startsWith('__') ? 1 : inner.depth + 1,
      fields: inner.fields + 1 + directives,
      ownFields: 1,
      aliases: inner.aliases + (selection.alias ? 1 : 0),
      directives: inner.directives + directives,
      literalDepth: Math.max(inner.literalDepth, ...(selection.arguments ?? []).map(({ value }) => literalDepthOf(value))),
      // One sign-in below another field would be none: whatever has the name counts.
      signIns: inner.signIns + (signInFields.has(name) ? 1 : 0),
    };
  }

  #ofFragment(name: string): Measure {
    const known = this.#known.get(name);
    if (known) return known;
    // A fragment that spreads itself finds this and stops; GraphQL refuses it.
    this.#known.set(name, nothing);
    const measure = this.of(this.#fragments.get(name)?.selectionSet);
    this.#known.set(name, measure);
    return measure;
  }
}
