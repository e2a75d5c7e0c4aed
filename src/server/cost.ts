/**
 * What an operation may cost, counted before it is planned: the rows that it can ask for, page sizes multiplied through, and a surcharge for what
 * computes. The document is looked at once; what depends on variables is filled in for each request.
 */
import {
  type DocumentNode, type FieldNode, type FragmentDefinitionNode, getNamedType, getNullableType, type GraphQLCompositeType, type GraphQLField, type GraphQLSchema, isCompositeType,
  isListType, Kind, type OperationDefinitionNode, type SelectionSetNode, type ValueNode,
} from 'postgraphile/graphql';
import { defaultPageSize, maxPageSize } from './limits.ts';

export type Variables = Readonly<Record<string, unknown>>;

/** Rows that one operation may ask for, with these variables. */
export type Cost = (variables: Variables) => number;

/** What computes, calls or counts, in rows that take as long. */
const surcharges: Readonly<Record<string, number>> = {
  totalCount: 10, diagram: 5, validation: 20, validateWorkflow: 20, validateFlow: 20, testSource: 50, testNode: 20,
  authenticate: 50, changePassword: 50, useAccessLink: 50, refreshSession: 5, __schema: 200, __type: 20,
};
/** A list that has no pages. */
const assumedLength = 20;

/** How many times the selection below it is answered. */
type Times = number | { variables: string[] };

interface Part {
  own: number;
  times: Times;
  parts: readonly Part[];
}

/** Of a document that is valid for the schema, by the names of its operations ('' for one without). */
export function costsOf(schema: GraphQLSchema, document: DocumentNode): Map<string, Cost> {
  const costing = new Costing(schema, document);
  return new Map(document.definitions.flatMap((definition) =>
    (definition.kind === Kind.OPERATION_DEFINITION ? [[definition.name?.value ?? '', costing.of(definition)] as const] : [])));
}

class Costing {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #known = new Map<string, readonly Part[]>();

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    this.#fragments = new Map(document.definitions.flatMap((definition) =>
      (definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [])));
  }

  of(operation: OperationDefinitionNode): Cost {
    const parts = this.#partsOf(operation.selectionSet, this.#schema.getRootType(operation.operation) ?? null, 1);
    if (!parts.some(isVariable)) {
      const fixed = sumOf(parts, {});
      return () => fixed;
    }
    const defaults = Object.fromEntries((operation.variableDefinitions ?? []).map(({ variable, defaultValue }) => [variable.name.value, numberIn(defaultValue)]));
    return (variables) => sumOf(parts, { ...defaults, ...variables });
  }

  /** `rows`: how many rows the lists `nodes` and `edges` of this set hold. */
  #partsOf(set: SelectionSetNode | undefined, type: GraphQLCompositeType | null, rows: Times): Part[] {
    return (set?.selections ?? []).flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [this.#partOf(selection, type, rows)];
      if (selection.kind === Kind.FRAGMENT_SPREAD) return this.#partsOfFragment(selection.name.value, rows);
      return this.#partsOf(selection.selectionSet, selection.typeCondition ? this.#typeOf(selection.typeCondition.name.value) : type, rows);
    });
  }

  #partOf(field: FieldNode, parent: GraphQLCompositeType | null, rows: Times): Part {
    const name = field.name.value;
    const surcharge = surcharges[name] ?? 0;
    const definition = parent && 'getFields' in parent ? parent.getFields()[name] : undefined;
    const type = definition ? getNamedType(definition.type) : null;
    if (!definition || !isCompositeType(type)) return { own: surcharge, times: 1, parts: [] };
    const isPaged = definition.args.some((argument) => argument.name === 'first');
    const inner = this.#partsOf(field.selectionSet, type, isPaged ? pageOf(field) : 1);
    if (isPaged) return { own: surcharge + 1, times: 1, parts: inner };
    const times = isRowsOf(definition) ? rows : isListType(getNullableType(definition.type)) ? assumedLength : 1;
    return { own: surcharge, times, parts: [{ own: 1, times: 1, parts: [] }, ...inner] };
  }

  #partsOfFragment(name: string, rows: Times): readonly Part[] {
    const key = `${name} ${JSON.stringify(rows)}`;
    const known = this.#known.get(key);
    if (known) return known;
    const fragment = this.#fragments.get(name);
    const parts = this.#partsOf(fragment?.selectionSet, fragment ? this.#typeOf(fragment.typeCondition.name.value) : null, rows);
    this.#known.set(key, parts);
    return parts;
  }

  #typeOf(name: string): GraphQLCompositeType | null {
    const type = this.#schema.getType(name);
    return isCompositeType(type) ? type : null;
  }
}

/** The lists of a connection. */
function isRowsOf({ name, type }: GraphQLField<unknown, unknown>): boolean {
  return (name === 'nodes' || name === 'edges') && isListType(getNullableType(type));
}

function pageOf(field: FieldNode): Times {
  const given = (field.arguments ?? []).filter(({ name }) => name.value === 'first' || name.value === 'last').map(({ value }) => value);
  const variables = given.flatMap((value) => (value.kind === Kind.VARIABLE ? [value.name.value] : []));
  if (variables.length > 0) return { variables };
  const literal = given.map(numberIn).find((number) => number !== undefined);
  return pageSize(literal);
}

function numberIn(value: ValueNode | undefined): number | undefined {
  return value?.kind === Kind.INT ? Number(value.value) : undefined;
}

/** Sizes beyond the cap are refused where they are used. */
function pageSize(given: unknown): number {
  return typeof given === 'number' ? Math.min(Math.max(given, 0), maxPageSize) : defaultPageSize;
}

function isVariable({ times, parts }: Part): boolean {
  return typeof times !== 'number' || parts.some(isVariable);
}

function sumOf(parts: readonly Part[], variables: Variables): number {
  return parts.reduce((sum, { own, times, parts: inner }) => {
    const factor = typeof times === 'number' ? times : pageSize(times.variables.map((name) => variables[name]).find((value) => value != null));
    return sum + own + factor * sumOf(inner, variables);
  }, 0);
}
