/**
 * Bounds on one GraphQL document, checked before anything is planned: size, depth, number of fields, number of sign-ins.
 * Fragments count where they are spread, and each is measured once.
 */
import {
  type ASTVisitor, type FragmentDefinitionNode, GraphQLError, Kind, type OperationDefinitionNode, type SelectionSetNode, type ValidationContext,
} from 'postgraphile/graphql';
import { errorRegistry } from '../errors.ts';

export const maxBodyBytes = 3 * 1024 * 1024;
export const maxQueryLength = 100_000;
export const maxDepth = 15;
export const maxFields = 500;
export const maxRootFields = 30;
export const defaultPageSize = 20;
export const maxPageSize = 100;
const maxSignIns = 1;

interface Measure {
  depth: number;
  fields: number;
}

export function DocumentLimitsRule(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      for (const message of faultsOf(operation, (name) => context.getFragment(name))) {
        const { remedy } = errorRegistry.LIMIT_EXCEEDED;
        context.reportError(new GraphQLError(message, { nodes: operation, extensions: { code: 'LIMIT_EXCEEDED', remedy } }));
      }
    },
  };
}

type FindFragment = (name: string) => FragmentDefinitionNode | null | undefined;

function faultsOf(operation: OperationDefinitionNode, findFragment: FindFragment): string[] {
  const measure = measureOf(operation.selectionSet, findFragment, new Map());
  const rootNames = rootFieldNames(operation.selectionSet, findFragment, new Set());
  const signIns = rootNames.filter((name) => name === 'authenticate').length;
  return [
    measure.depth > maxDepth ? `The operation is ${measure.depth} levels deep; at most ${maxDepth} are allowed.` : null,
    measure.fields > maxFields ? `The operation selects ${measure.fields} fields; at most ${maxFields} are allowed.` : null,
    rootNames.length > maxRootFields ? `The operation has ${rootNames.length} fields at the top; at most ${maxRootFields} are allowed.` : null,
    signIns > maxSignIns ? 'An operation may call authenticate once.' : null,
  ].filter((fault) => fault !== null);
}

/** Introspection has a rule of its own in GraphQL for its depth; its levels are not counted here, its fields are. */
function measureOf(selectionSet: SelectionSetNode, findFragment: FindFragment, known: Map<string, Measure>): Measure {
  let depth = 0;
  let fields = 0;
  for (const selection of selectionSet.selections) {
    const inner = selection.kind === Kind.FRAGMENT_SPREAD
      ? measureOfFragment(selection.name.value, findFragment, known)
      : selection.selectionSet ? measureOf(selection.selectionSet, findFragment, known) : { depth: 0, fields: 0 };
    const isField = selection.kind === Kind.FIELD;
    const isIntrospection = isField && selection.name.value.startsWith('__');
    depth = Math.max(depth, isIntrospection ? 1 : inner.depth + (isField ? 1 : 0));
    fields += inner.fields + (isField ? 1 : 0) + (selection.directives?.length ?? 0);
  }
  return { depth, fields };
}

function measureOfFragment(name: string, findFragment: FindFragment, known: Map<string, Measure>): Measure {
  const found = known.get(name);
  if (found) return found;
  // A fragment that spreads itself finds this and stops; another rule refuses it.
  known.set(name, { depth: 0, fields: 0 });
  const fragment = findFragment(name);
  const measure = fragment ? measureOf(fragment.selectionSet, findFragment, known) : { depth: 0, fields: 0 };
  known.set(name, measure);
  return measure;
}

function rootFieldNames(selectionSet: SelectionSetNode, findFragment: FindFragment, visited: Set<string>): string[] {
  return selectionSet.selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection.name.value];
    if (selection.kind === Kind.INLINE_FRAGMENT) return rootFieldNames(selection.selectionSet, findFragment, visited);
    const fragment = findFragment(selection.name.value);
    if (!fragment || visited.has(selection.name.value)) return [];
    return rootFieldNames(fragment.selectionSet, findFragment, new Set([...visited, selection.name.value]));
  });
}
