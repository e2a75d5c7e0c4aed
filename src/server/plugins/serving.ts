/**
 * How PostGraphile serves here: documents within the limits, a code on every error, the time of a request, and status 503 when the database
 * was not to be had, so that load balancers and clients try again. GraphiQL comes with the credentials that the page was asked for with.
 */
import 'postgraphile/grafserv';
import { errorRegistry } from '../../errors.ts';
import { beforeDeadline } from '../deadline.ts';
import type { Face } from '../face.ts';
import { graphiqlTitle, savedOperationsScript, withHeaders } from '../graphiql.ts';

interface Payload {
  errors?: { message: string; extensions?: Record<string, unknown> }[];
}

export function servingPlugin(face: Face): GraphileConfig.Plugin {
  return {
    name: 'ServingPlugin',
    version: '1.0.0',
    grafserv: {
      middleware: {
        setPreset(next, event) {
          const { getExecutionConfig } = event;
          event.getExecutionConfig = async function getCheckedExecutionConfig(context) {
            const config = await getExecutionConfig.call(this, context);
            return { ...config, parseAndValidate: (query: string) => face.prepare(config.schema, query) };
          };
          return next();
        },
        ruruHTML(next, event) {
          const { htmlParts, request } = event;
          htmlParts.titleTag = graphiqlTitle;
          htmlParts.configScript = withHeaders(htmlParts.configScript, { authorization: request.getHeader('authorization'), apiKey: request.getHeader('x-api-key') });
          htmlParts.headerScripts = savedOperationsScript + htmlParts.headerScripts;
          return next();
        },
        async processRequest(next, event) {
          event.requestDigest.preferJSON = true;
          const { requestDigest: request } = event;
          const answer = (code: 'TIMEOUT' | 'NOT_FOUND', message: string): Awaited<ReturnType<typeof next>> => ({
            type: 'json', request, dynamicOptions: event.instance.dynamicOptions, statusCode: errorRegistry[code].httpStatus, headers: { 'content-type': 'application/json; charset=utf-8' },
            json: { errors: [{ message, extensions: { code, remedy: code === 'NOT_FOUND' ? 'GET / says what is where.' : errorRegistry[code].remedy } }] },
          } as never);
          const result = await beforeDeadline(next(), () => answer('TIMEOUT', 'The request took too long.'));
          // An asset of GraphiQL that there is not.
          if (result?.type === 'buffer' && result.statusCode === 404) return answer('NOT_FOUND', 'There is nothing at this address.');
          if (result?.type !== 'json') return result;
          const { errors } = result.json as Payload;
          for (const error of errors ?? []) error.extensions = { code: 'BAD_REQUEST', remedy: errorRegistry.BAD_REQUEST.remedy, ...error.extensions };
          const isUnavailable = errors?.some(({ extensions }) => extensions?.code === 'UNAVAILABLE') === true;
          if (isUnavailable) return { ...result, statusCode: 503 };
          // A mutation that came by GET.
          return result.statusCode === 405 ? { ...result, headers: { ...result.headers, allow: 'POST' } } : result;
        },
      },
    },
  };
}
