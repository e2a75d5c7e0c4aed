/** No answer goes out before the database has confirmed who asked for it; see callers.ts. */
import 'postgraphile/grafserv';
import { confirm } from '../callers.ts';
import { refusalOf } from '../http-errors.ts';
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
          return { type: 'json', request, dynamicOptions, ...refusalOf(error, unexpected, scope.requestId) } as never;
        }
        // Refused for what has changed about the caller: what the query gave then is not what it gives now. Nothing was changed: starts are refused with it.
        return condition.outcome === 'failed' ? await next() : result;
      },
    },
  },
};

/** What is not meant for callers ends the request. */
function unexpected(error: unknown): never {
  throw error;
}
