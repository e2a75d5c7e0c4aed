/**
 * What one operation answers, as text. The same as grafserv makes of it for POST /graphql, without the parts that serve other ways of asking: the
 * document is there already, and its answer is one payload.
 */
import { execute, hookArgs, stringifyPayload } from 'postgraphile/grafast';
import { type DocumentNode, type ExecutionResult, GraphQLError, type GraphQLSchema } from 'postgraphile/graphql';
import type { GrafservBase } from 'postgraphile/grafserv';
import { errorRegistry } from '../errors.ts';
import { confirm } from './callers.ts';
import { beforeDeadline } from './deadline.ts';
import type { Operation } from './documents.ts';
import type { RequestScope } from './scope.ts';

/** What the API is at the moment. */
export interface Executor {
  graphql: GrafservBase;
  schema: GraphQLSchema;
}

export interface Answer {
  status: number;
  text: string;
}

/** `isLegacy`: the answer is application/json, whose status says nothing of errors in it. Throws what `confirm` throws; see callers.ts. */
export function answerTo(executor: Executor, operation: Operation, document: DocumentNode, scope: RequestScope, isLegacy: boolean): Promise<Answer> {
  const late = (): Answer => refused('TIMEOUT', 'The request took too long.');
  return beforeDeadline(confirmed(() => executed(executor, operation, document), scope).then((result) => asText(executor, result, isLegacy)), late);
}

/** No answer goes out before the database has confirmed who asked for it. */
async function confirmed(run: () => Promise<ExecutionResult>, scope: RequestScope): Promise<ExecutionResult> {
  const result = await run();
  const condition = scope.unconfirmed?.condition;
  if (!condition || condition.outcome === 'held') return result;
  await confirm(scope);
  // Refused for what has changed about the caller: what the query gave then is not what it gives now. Nothing was changed: starts are refused with it.
  return condition.outcome === 'failed' ? await run() : result;
}

async function executed({ graphql, schema }: Executor, { variables, operationName }: Operation, document: DocumentNode): Promise<ExecutionResult> {
  const args = {
    schema, document, rootValue: null, contextValue: Object.create(null) as Grafast.Context, variableValues: variables, operationName,
    resolvedPreset: graphql.resolvedPreset, middleware: graphql.grafastMiddleware, requestContext: {}, outputDataAsString: true,
  };
  const hooked = hookArgs(args);
  if (hooked instanceof Promise) await hooked;
  const result = await execute(args);
  if (Symbol.asyncIterator in result) throw new Error('An operation that was to have one answer has several');
  return result;
}

function asText({ graphql }: Executor, result: ExecutionResult, isLegacy: boolean): Answer {
  if (result.errors === undefined) return { status: 200, text: stringifyPayload(result as never, true) };
  const { errors = [], ...rest } = graphql.dynamicOptions.maskPayload(result) as ExecutionResult;
  const shown = errors.map(withCode);
  const isUnavailable = shown.some(({ extensions }) => extensions['code'] === 'UNAVAILABLE');
  const status = isUnavailable ? 503 : isLegacy || result.data !== undefined ? 200 : 400;
  return { status, text: stringifyPayload({ ...rest, errors: shown } as never, true) };
}

function withCode(error: GraphQLError): { message: string; extensions: Record<string, unknown> } {
  const plain = error instanceof GraphQLError ? error.toJSON() : { message: (error as Error).message };
  return { ...plain, extensions: { code: 'BAD_REQUEST', remedy: errorRegistry.BAD_REQUEST.remedy, ...plain.extensions } };
}

function refused(code: 'TIMEOUT', message: string): Answer {
  const { httpStatus, remedy } = errorRegistry[code];
  return { status: httpStatus, text: JSON.stringify({ errors: [{ message, extensions: { code, remedy } }] }) };
}
