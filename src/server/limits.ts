/**
 * Bounds on one GraphQL document: depth, fields, sign-ins. They are looked at before GraphQL validates it, since some of its rules
 * take time that grows with the square of a hostile document. Fragments count where they are spread, and each is measured once.
 */
import { type DocumentNode, type FragmentDefinitionNode, GraphQLError, Kind, type OperationDefinitionNode, type SelectionNode, type SelectionSetNode } from 'postgraphile/graphql';

export const maxBodyBytes = 3 * 1024 * 1024;
export const maxQueryLength = 100_000;
export const maxTokens = 20_000;
export const maxDepth = 15;
export const maxFields = 500;
export const maxRootFields = 30;
export const maxOperations = 50;
export const defaultPageSize = 20;
export const maxPageSize = 100;
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
  signIns: number;
}

const nothing: Measure = { depth: 0, fields: 0, ownFields: 0, signIns: 0 };

/** Empty when the document is within the limits. */
export function limitErrorsOf(document: DocumentNode): GraphQLError[] {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operations.length > maxOperations) return [limitError(`The document has ${operations.length} operations; at most ${maxOperations} are allowed.`)];
  const fragments = new Map(document.definitions.flatMap((definition) =>
    (definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [])));
  const measuring = new Measuring(fragments);
  return operations.flatMap((operation) => faultsOf(measuring.of(operation.selectionSet)).map((message) => limitError(message, operation)));
}

function limitError(message: string, nodes?: OperationDefinitionNode): GraphQLError {
  return new GraphQLError(message, { nodes, extensions: { code: 'LIMIT_EXCEEDED' } });
}

function faultsOf({ depth, fields, ownFields, signIns }: Measure): string[] {
  return [
    depth > maxDepth ? `The operation is ${depth} levels deep; at most ${maxDepth} are allowed.` : null,
    fields > maxFields ? `The operation selects ${fields} fields; at most ${maxFields} are allowed.` : null,
    ownFields > maxRootFields ? `The operation has ${ownFields} fields at the top; at most ${maxRootFields} are allowed.` : null,
    signIns > maxSignIns ? 'An operation may sign in once.' : null,
  ].filter((fault) => fault !== null);
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
      signIns: sum.signIns + part.signIns,
    }), nothing);
  }

  #ofSelection(selection: SelectionNode): Measure {
    const directives = selection.directives?.length ?? 0;
    if (selection.kind !== Kind.FIELD) {
      const inner = selection.kind === Kind.FRAGMENT_SPREAD ? this.#ofFragment(selection.name.value) : this.of(selection.selectionSet);
      return { ...inner, fields: inner.fields + directives };
    }
    const inner = this.of(selection.selectionSet);
    const name = selection.name.value;
    // GraphQL bounds the depth of introspection itself.
    const depth = name.startsWith('__') ? 1 : inner.depth + 1;
    return { depth, fields: inner.fields + 1 + directives, ownFields: 1, signIns: signInFields.has(name) ? 1 : 0 };
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
