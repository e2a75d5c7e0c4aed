/** No answer goes out before the database has confirmed who asked for it; see callers.ts. */
import 'postgraphile/grafserv';
import { confirm } from '../callers.ts';
import { errorBody, retryAfterOf, statusOf } from '../http-errors.ts';
import { currentScope } from '../scope.ts';

export const ConfirmationPlugin: GraphileConfig.Plugin = {
  name: 'ConfirmationPlugin',
  version: '1.0.0',
  grafserv: {
    middleware: {
      async processRequest(next, { requestDigest: request, instance: { dynamicOptions } }) {
        const result = await next();
        const scope = currentScope();
        const condition = scope?.unconfirmed?.condition;
        if (!scope || !condition || condition.outcome === 'held') return result;
        try {
          await confirm(scope);
        } catch (error) {
          return { type: 'json', request, dynamicOptions, ...refusal(error, scope.requestId) } as Awaited<ReturnType<typeof next>>;
        }
        // Refused for what has changed about the caller: what the query gave then is not what it gives now. It is a query, so it changed nothing.
        return condition.outcome === 'failed' ? await next() : result;
      },
    },
  },
};

/** As an error before GraphQL would have been answered. Throws on what is not meant for callers. */
function refusal(error: unknown, requestId: string): { statusCode: number; headers: Record<string, string>; json: object } {
  const json = errorBody(error, (unexpected) => {
    throw unexpected;
  }, requestId);
  const statusCode = statusOf(json);
  const retryAfter = retryAfterOf(json);
  return {
    statusCode, json,
    headers: { 'content-type': 'application/json; charset=utf-8', ...(statusCode === 401 ? { 'www-authenticate': 'Bearer' } : null), ...(retryAfter === undefined ? null : { 'retry-after': retryAfter }) },
  };
}
