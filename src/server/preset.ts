/** What GraphQL is made of: the schema `app_public` as a signed-in user sees it, and the plugins for what SQL cannot say. */
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import 'postgraphile/grafserv';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import { errorRegistry } from '../errors.ts';
import { contextOf, type Services } from './context.ts';
import { type Log, makeErrorMask } from './errors.ts';
import { graphiqlOptions } from './graphiql.ts';
import { DocumentLimitsRule, maxBodyBytes } from './limits.ts';
import { AuthenticationPlugin } from './plugins/authentication.ts';
import { CheckEnumsPlugin } from './plugins/check-enums.ts';
import { DefaultOrderPlugin } from './plugins/default-order.ts';
import { DiagramsPlugin } from './plugins/diagrams.ts';
import { ExecutionUpdatedPlugin } from './plugins/execution-updated.ts';
import { FiltersPlugin } from './plugins/filters.ts';
import { FlowByIdPlugin } from './plugins/flow-by-id.ts';
import { KeysPlugin } from './plugins/keys.ts';
import { NamesPlugin } from './plugins/names.ts';
import { PageSizePlugin } from './plugins/page-size.ts';
import { PublishGatePlugin } from './plugins/publish-gate.ts';
import { UpdatesPlugin } from './plugins/updates.ts';
import { ValidationPlugin } from './plugins/validation.ts';

/** The part that decides the schema; it needs a database, and nothing of a server. */
export function schemaPreset(pool: Pool): GraphileConfig.Preset {
  return {
    extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset, PostGraphileConnectionFilterPreset],
    plugins: [
      NamesPlugin, CheckEnumsPlugin, KeysPlugin, FiltersPlugin, PageSizePlugin, DefaultOrderPlugin, FlowByIdPlugin, UpdatesPlugin,
      AuthenticationPlugin, ExecutionUpdatedPlugin, ValidationPlugin, PublishGatePlugin, DiagramsPlugin,
    ],
    disablePlugins: [
      // What does not fit ends the start, instead of leaving a hole in the API.
      'SwallowErrorsPlugin',
      // Further ways to the same thing: `condition` beside `filter`, Query.query.
      'PgConditionArgumentPlugin', 'PgConditionCustomFieldsPlugin', 'QueryQueryPlugin',
      // Filters over whole child tables: no index serves them.
      'PgConnectionArgFilterBackwardRelationsPlugin', 'PgConnectionArgFilterComputedAttributesPlugin',
    ],
    pgServices: [makePgService({ pool, schemas: ['app_public'], pubsub: false, pgSettingsForIntrospection: { role: 'agentflow_user' } })],
    // An argument without a default must be given.
    gather: { pgStrictFunctions: true },
    schema: { connectionFilterAllowEmptyObjectInput: true, connectionFilterAllowNullInput: true },
  };
}

export function serverPreset(pool: Pool, services: Services, log: Log, isDevelopment: boolean): GraphileConfig.Preset {
  return {
    extends: [schemaPreset(pool)],
    plugins: [ServingPlugin],
    grafast: { context: () => contextOf(services), explain: isDevelopment },
    grafserv: {
      graphqlPath: '/graphql',
      graphiqlPath: '/graphiql',
      graphiqlOnGraphQLGET: false,
      maxRequestLength: maxBodyBytes,
      maskError: makeErrorMask(log),
      watch: false,
    },
    ruru: graphiqlOptions,
  };
}

interface Payload {
  errors?: { message: string; extensions?: Record<string, unknown> }[];
}

/**
 * Limits on documents; a code on errors that GraphQL finds before execution; and status 503 when the database was not to be
 * had, so that load balancers and clients try again.
 */
const ServingPlugin: GraphileConfig.Plugin = {
  name: 'ServingPlugin',
  version: '1.0.0',
  grafserv: {
    middleware: {
      setPreset(next, event) {
        event.validationRules.push(DocumentLimitsRule);
        return next();
      },
      async processRequest(next, event) {
        event.requestDigest.preferJSON = true;
        const result = await next();
        if (result?.type !== 'json') return result;
        const { errors } = result.json as Payload;
        for (const error of errors ?? []) error.extensions = { code: 'BAD_REQUEST', remedy: errorRegistry.BAD_REQUEST.remedy, ...error.extensions };
        const isUnavailable = errors?.some(({ extensions }) => extensions?.code === 'UNAVAILABLE') === true;
        return isUnavailable ? { ...result, statusCode: 503 } : result;
      },
    },
  },
};
