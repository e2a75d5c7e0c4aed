/** From the text of a query to a document that may run: parsed, within the limits, valid for the schema. Results are kept for the next time. */
import { createHash } from 'node:crypto';
import { type DocumentNode, GraphQLError, type GraphQLSchema, parse, Source, validate } from 'postgraphile/graphql';
import { errorRegistry } from '../errors.ts';
import { limitErrorsOf, maxTokens } from './limits.ts';

type Parsed = { document: DocumentNode; errors?: undefined } | { document?: undefined; errors: readonly GraphQLError[] };

const maxKept = 500;
const maxErrors = 20;

/** Every error has a code. */
export function makeParseAndValidate(schema: GraphQLSchema): (query: string) => Parsed {
  const kept = new Map<string, Parsed>();
  return (query) => {
    const key = createHash('sha1').update(query).digest('base64');
    const known = kept.get(key);
    if (known) return known;
    const parsed = parseAndValidate(schema, query);
    // The oldest goes: a Map keeps the order in which its keys came.
    if (kept.size >= maxKept) kept.delete(kept.keys().next().value!);
    kept.set(key, parsed);
    return parsed;
  };
}

function parseAndValidate(schema: GraphQLSchema, query: string): Parsed {
  let document: DocumentNode;
  try {
    document = parse(new Source(query, 'GraphQL request'), { maxTokens });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    return { errors: [coded(error, error.message.includes(`${maxTokens} tokens`) ? 'LIMIT_EXCEEDED' : 'BAD_REQUEST')] };
  }
  const beyond = limitErrorsOf(document);
  if (beyond.length > 0) return { errors: beyond.map((error) => coded(error, 'LIMIT_EXCEEDED')) };
  const errors = validate(schema, document, undefined, { maxErrors });
  return errors.length > 0 ? { errors: errors.map((error) => coded(error, 'BAD_REQUEST')) } : { document };
}

function coded(error: GraphQLError, code: 'BAD_REQUEST' | 'LIMIT_EXCEEDED'): GraphQLError {
  const { remedy } = errorRegistry[code];
  return new GraphQLError(error.message, { nodes: error.nodes, source: error.source, positions: error.positions, extensions: { code, remedy } });
}
