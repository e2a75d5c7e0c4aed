/** What the API shows to whom: a closed face gives those who are not signed in no introspection, no suggestions and no GraphiQL. */
import { GraphQLError, type GraphQLSchema } from 'postgraphile/graphql';
import type { FaceConfig } from '../config.ts';
import { AgentFlowError } from '../errors.ts';
import { Documents, type Operation } from './documents.ts';
import { maxAnswerBytes } from './limits.ts';
import { AnswerBudget } from '../store/answer-size.ts';
import { currentScope, type RequestScope } from './scope.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

type Prepared = ReturnType<Documents['prepare']> | { document?: undefined; errors: readonly GraphQLError[] };

export class Face {
  readonly config: FaceConfig;
  readonly #trusted: TrustedDocuments | null;
  readonly #documents = new WeakMap<GraphQLSchema, Documents>();

  constructor(config: FaceConfig, trusted: TrustedDocuments | null) {
    this.config = config;
    this.#trusted = trusted;
  }

  /** Somebody whom the face is closed to. Without a request nobody asks. */
  isClosedTo(scope: RequestScope | undefined = currentScope()): boolean {
    return this.config.isClosed && scope?.identity.kind === 'visitor';
  }

  /**
   * Looks at an operation before anything of it is planned, and notes how much may be answered. Returns its cost.
   * Throws UNAUTHENTICATED (introspection), DOCUMENT_NOT_TRUSTED, LIMIT_EXCEEDED or INVALID_VALUE; what is wrong with the document itself is left to `prepare`.
   */
  admit(schema: GraphQLSchema, operation: Operation, scope: RequestScope): number {
    const parsed = this.#of(schema).prepare(operation.query);
    this.#trusted?.demand(operation.query, scope.identity);
    if (parsed.errors === undefined && parsed.isIntrospection && this.isClosedTo(scope)) {
      throw new AgentFlowError('UNAUTHENTICATED', 'The schema is shown to those who are signed in.', { remedy: 'Call authenticate, or send a valid X-API-Key; migrations/snapshot/schema.graphql is the schema.' });
    }
    if (parsed.errors === undefined) scope.answerBudget = new AnswerBudget(Math.floor(maxAnswerBytes / (1 + parsed.aliases)), !parsed.hasOneAnswer);
    return this.#of(schema).costOf(operation);
  }

  /** Does it depend on who asks whether this is served at all? */
  dependsOnCaller(query: string): boolean {
    return this.#trusted !== null && !this.#trusted.has(query);
  }

  /** Is all that a document changes done by functions of the database that start executions? */
  changesByStarts(schema: GraphQLSchema, query: string): boolean {
    const parsed = this.#of(schema).prepare(query);
    return parsed.errors === undefined && parsed.changesByStarts;
  }

  /** The document of a query, or why there is none, in words that the caller may read. */
  prepare(schema: GraphQLSchema, query: string): Prepared {
    const parsed = this.#of(schema).prepare(query);
    // One error is enough to see that something is wrong; all of them would be a way to ask many questions at once.
    return parsed.errors && this.isClosedTo() ? { errors: parsed.errors.slice(0, 1).map(withoutSuggestions) } : parsed;
  }

  /** The text that stands behind the id of a trusted document. Throws DOCUMENT_NOT_TRUSTED. */
  queryOf(documentId: string): string {
    const query = this.#trusted?.find(documentId);
    if (query !== undefined) return query;
    throw new AgentFlowError('DOCUMENT_NOT_TRUSTED', 'No operation is registered under this id.', { details: { field: 'documentId' } });
  }

  #of(schema: GraphQLSchema): Documents {
    const known = this.#documents.get(schema) ?? new Documents(schema);
    this.#documents.set(schema, known);
    return known;
  }
}

/** GraphQL ends messages with the names that it has instead. */
export function hideSuggestions(message: string): string {
  return message.replace(/ Did you mean [^]*$/, '');
}

function withoutSuggestions(error: GraphQLError): GraphQLError {
  const { nodes, source, positions, path, extensions } = error;
  return new GraphQLError(hideSuggestions(error.message), { nodes, source, positions, path, extensions });
}
