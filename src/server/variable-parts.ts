/**
 * How much a variable asks for: each object of an input (a condition of a filter, an execution to be started) and each entry of a list of enum values (an
 * order) becomes a part of a statement. What is inside of a JSON scalar is a value, however large.
 */
import {
  type DocumentNode, getNullableType, type GraphQLInputType, type GraphQLSchema, isEnumType, isInputObjectType, isInputType, isListType, Kind, typeFromAST,
} from 'postgraphile/graphql';

export interface TypedVariable {
  name: string;
  type: GraphQLInputType;
}

/** By the names of the operations ('' for one without). */
export function typedVariables(schema: GraphQLSchema, document: DocumentNode): Map<string, readonly TypedVariable[]> {
  return new Map(document.definitions.flatMap((definition) => {
    if (definition.kind !== Kind.OPERATION_DEFINITION) return [];
    const typed = (definition.variableDefinitions ?? []).flatMap(({ variable, type: written }) => {
      const type = typeFromAST(schema, written as never) as unknown;
      return isInputType(type) ? [{ name: variable.name.value, type }] : [];
    });
    return [[definition.name?.value ?? '', typed] as const];
  }));
}

/** Counts no further than `enough`. */
export function partsOf(type: GraphQLInputType, value: unknown, enough: number): number {
  if (typeof value !== 'object' || value === null) return isEnumType(getNullableType(type)) ? 1 : 0;
  const nullable = getNullableType(type);
  if (isListType(nullable)) return sum(Array.isArray(value) ? value : [value], (entry, left) => partsOf(nullable.ofType, entry, left), enough);
  if (!isInputObjectType(nullable)) return 0;
  const fields = nullable.getFields();
  return 1 + sum(Object.entries(value), ([name, entry], left) => (Object.hasOwn(fields, name) ? partsOf(fields[name]!.type, entry, left) : 0), enough - 1);
}

function sum<T>(entries: readonly T[], count: (entry: T, left: number) => number, enough: number): number {
  let found = 0;
  for (const entry of entries) {
    if (found > enough) break;
    found += count(entry, enough - found);
  }
  return found;
}
