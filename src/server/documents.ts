/** From the text of a query to a document that may run: parsed, within the limits, valid for the schema, its cost known. Results are kept for the next time. */
import { type DefinitionNode, type DocumentNode, GraphQLError, type GraphQLSchema, Kind, OperationTypeNode, parse, Source, validate, visit } from 'postgraphile/graphql';
import { AgentFlowError, errorRegistry } from '../errors.ts';
import { type Cost, costsOf, type Variables } from './cost.ts';
import { unstorableText } from './errors.ts';
import { isDeeperThan, limitsOf, maxCost, maxNesting, maxTokens, maxVariableDepth, maxVariableParts } from './limits.ts';
import { expandedNesting, nestingOf } from './nesting.ts';
import { partsOf, type TypedVariable, typedVariables } from './variable-parts.ts';
import { placeOfHalfCharacter } from './whole-text.ts';

type Parsed =
  | { document: DocumentNode; errors?: undefined; costs: ReadonlyMap<string, Cost>; typed: ReadonlyMap<string, readonly TypedVariable[]>; isIntrospection: boolean; hasOneAnswer: boolean; changesByStarts: boolean; aliases: number }
  | { document?: undefined; errors: readonly GraphQLError[] };

const maxKept = 500;
/** Together: parsed documents are many times as large as their texts. */
const maxKeptCharacters = 2_000_000;
const maxErrors = 20;

export interface Operation {
  query: string;
  variables: Variables;
  operationName: string | undefined;
}

export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #kept = new Map<string, Parsed>();
  #keptCharacters = 0;

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** Every error has a code. */
  prepare(query: string): Parsed {
    const known = this.#kept.get(query);
    if (known) return known;
    const parsed = parseAndValidate(this.#schema, query);
    this.#keep(query, parsed);
    return parsed;
  }

  /** What the operation costs; 0 for one that GraphQL refuses in any case. Throws LIMIT_EXCEEDED, or INVALID_VALUE for a variable that holds no text. */
  costOf({ query, variables, operationName }: Operation): number {
    const parsed = this.prepare(query);
    if (parsed.errors) return 0;
    if (isDeeperThan(variables, maxVariableDepth)) {
      throw new AgentFlowError('LIMIT_EXCEEDED', `A variable is more than ${maxVariableDepth} levels deep.`, {
        remedy: 'Send flatter values.', details: { limit: 'variableDepth', allowed: maxVariableDepth, field: 'variables' },
      });
    }
    for (const variable of (operationName === undefined ? [...parsed.typed.values()][0] : parsed.typed.get(operationName)) ?? []) demandFit(variable, variables[variable.name]);
    const cost = operationName === undefined ? [...parsed.costs.values()][0] : parsed.costs.get(operationName);
    const found = cost?.(variables) ?? 0;
    if (found <= maxCost) return found;
    throw new AgentFlowError('LIMIT_EXCEEDED', `The operation may answer with ${found} rows or what takes as long; at most ${maxCost} are allowed.`, {
      remedy: 'Ask for smaller pages (first), or for fewer lists within lists.', details: { limit: 'cost', allowed: maxCost, found },
    });
  }

  #keep(query: string, parsed: Parsed): void {
    // What was refused is cheap to refuse again, and would push out what people use.
    if (parsed.errors && query.length > 1_000) return;
    this.#kept.set(query, parsed);
    this.#keptCharacters += query.length;
    // The oldest goes: a Map keeps the order in which its keys came.
    while (this.#kept.size > maxKept || this.#keptCharacters > maxKeptCharacters) {
      const oldest = this.#kept.keys().next().value!;
      this.#kept.delete(oldest);
      this.#keptCharacters -= oldest.length;
    }
  }
}

function demandFit({ name, type }: TypedVariable, value: unknown): void {
  if (partsOf(type, value, maxVariableParts) > maxVariableParts) {
    throw new AgentFlowError('LIMIT_EXCEEDED', `The variable ${name} has more than ${maxVariableParts} parts: conditions, orders, things to do.`, {
      remedy: 'Ask for less at a time; a list of values (in) is one part.', details: { limit: 'variableParts', allowed: maxVariableParts, field: 'variables' },
    });
  }
  const field = placeOfHalfCharacter(type, value, name);
  if (field !== undefined) throw new AgentFlowError('INVALID_VALUE', unstorableText, { remedy: 'Leave it out.', details: { field } });
}

function parseAndValidate(schema: GraphQLSchema, query: string): Parsed {
  if (nestingOf(query, maxNesting) > maxNesting) return { errors: [tooDeep()] };
  let document: DocumentNode;
  try {
    document = parse(new Source(query, 'GraphQL request'), { maxTokens });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const isLimit = error.message.includes(`${maxTokens} tokens`);
    return { errors: [isLimit ? coded(error, 'LIMIT_EXCEEDED', { limit: 'tokens', allowed: maxTokens }) : coded(error, 'BAD_REQUEST')] };
  }
  const nesting = expandedNesting(document, maxNesting);
  if (nesting === null) return { errors: [coded(new GraphQLError('A fragment spreads itself, directly or by way of others.'), 'BAD_REQUEST')] };
  if (nesting > maxNesting) return { errors: [tooDeep()] };
  const limits = limitsOf(document);
  if (limits.errors.length > 0) return { errors: limits.errors.map((error) => coded(error, 'LIMIT_EXCEEDED', error.extensions)) };
  const errors = validate(schema, document, undefined, { maxErrors });
  if (errors.length > 0) return { errors: errors.map((error) => coded(error, 'BAD_REQUEST')) };
  return { document, costs: costsOf(schema, document), typed: typedVariables(schema, document), isIntrospection: asksForSchema(document), hasOneAnswer: !document.definitions.some(isSubscription), changesByStarts: document.definitions.every(changesByStarts), aliases: limits.aliases };
}

function tooDeep(): GraphQLError {
  return coded(new GraphQLError(`The document is more than ${maxNesting} levels deep.`), 'LIMIT_EXCEEDED', { limit: 'nesting', allowed: maxNesting });
}

function isSubscription(definition: DefinitionNode): boolean {
  return definition.kind === Kind.OPERATION_DEFINITION && definition.operation === OperationTypeNode.SUBSCRIPTION;
}

/** Each is one call of a function of the database, and nothing besides. */
const starts: ReadonlySet<string> = new Set(['executeWorkflow', 'executeWorkflows']);

function changesByStarts(definition: DefinitionNode): boolean {
  if (definition.kind !== Kind.OPERATION_DEFINITION || definition.operation === OperationTypeNode.QUERY) return true;
  return definition.operation === OperationTypeNode.MUTATION && definition.selectionSet.selections.every((selection) => selection.kind === Kind.FIELD && starts.has(selection.name.value));
}

function coded(error: GraphQLError, code: 'BAD_REQUEST' | 'LIMIT_EXCEEDED', details: Record<string, unknown> = {}): GraphQLError {
  const { remedy } = errorRegistry[code];
  return new GraphQLError(error.message, { nodes: error.nodes, source: error.source, positions: error.positions, extensions: { ...details, code, remedy } });
}

function asksForSchema(document: DocumentNode): boolean {
  let asks = false;
  visit(document, {
    [Kind.FIELD]({ name: { value } }) {
      asks ||= value === '__schema' || value === '__type';
    },
  });
  return asks;
}
