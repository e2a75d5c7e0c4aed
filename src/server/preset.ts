/** What GraphQL is made of: the schema `app_public` as a signed-in user sees it, and the plugins for what SQL cannot say. */
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import type { GraphQLError, GraphQLSchema } from 'postgraphile/graphql';
import 'postgraphile/grafserv';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import { errorRegistry } from '../errors.ts';
import { makeWithCallerClient } from '../store/caller-transactions.ts';
import { contextOf, type Services } from './context.ts';
import { graphiqlOptions, graphiqlTitle } from './graphiql.ts';
import { makeParseAndValidate } from './documents.ts';
import { maxBodyBytes } from './limits.ts';
import { AccessPlugin } from './plugins/access.ts';
import { AuthenticationPlugin } from './plugins/authentication.ts';
import { CheckEnumsPlugin } from './plugins/check-enums.ts';
import { DefaultOrderPlugin } from './plugins/default-order.ts';
import { DiagramsPlugin } from './plugins/diagrams.ts';
import { ExecutionInputPlugin } from './plugins/execution-input.ts';
import { ExecutionUpdatedPlugin } from './plugins/execution-updated.ts';
import { FiltersPlugin } from './plugins/filters.ts';
import { FlowByIdPlugin } from './plugins/flow-by-id.ts';
import { FlowExecutionsPlugin } from './plugins/flow-executions.ts';
import { FlowNamesPlugin, FlowsPlugin } from './plugins/flows.ts';
import { KeysPlugin } from './plugins/keys.ts';
import { NamesPlugin } from './plugins/names.ts';
import { PageSizePlugin } from './plugins/page-size.ts';
import { PublishGatePlugin } from './plugins/publish-gate.ts';
import { SecretsPlugin } from './plugins/secrets.ts';
import { TestSourcePlugin } from './plugins/test-source.ts';
import { UpdatesPlugin } from './plugins/updates.ts';
import { ValidationPlugin } from './plugins/validation.ts';

/** The part that decides the schema; it needs a database, and nothing of a server. */
export function schemaPreset(pool: Pool): GraphileConfig.Preset {
  return {
    extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset, PostGraphileConnectionFilterPreset],
    plugins: [
      NamesPlugin, CheckEnumsPlugin, KeysPlugin, FiltersPlugin, PageSizePlugin, DefaultOrderPlugin, FlowByIdPlugin, UpdatesPlugin,
      FlowNamesPlugin, FlowsPlugin, FlowExecutionsPlugin,
      AuthenticationPlugin, AccessPlugin, ExecutionInputPlugin, ExecutionUpdatedPlugin, ValidationPlugin, PublishGatePlugin, DiagramsPlugin, SecretsPlugin, TestSourcePlugin,
    ],
    disablePlugins: [
      // What does not fit ends the start, instead of leaving a hole in the API.
      'SwallowErrorsPlugin',
      // Further ways to the same thing: `condition` beside `filter`, Query.query.
      'PgConditionArgumentPlugin', 'PgConditionCustomFieldsPlugin', 'QueryQueryPlugin',
      // Filters over whole child tables: no index serves them.
      'PgConnectionArgFilterBackwardRelationsPlugin', 'PgConnectionArgFilterComputedAttributesPlugin',
    ],
    pgServices: [serviceOf(pool)],
    // An argument without a default must be given.
    gather: { pgStrictFunctions: true },
    schema: { connectionFilterAllowEmptyObjectInput: true, connectionFilterAllowNullInput: true },
  };
}

/** PostGraphile's own service, but for how it opens transactions. */
function serviceOf(pool: Pool): GraphileConfig.PgServiceConfiguration {
  const service = makePgService({ pool, schemas: ['app_public'], pubsub: false, pgSettingsForIntrospection: { role: 'agentflow_user' } });
  return { ...service, adaptor: { ...service.adaptor, createWithPgClient: () => makeWithCallerClient(pool) as never } };
}

export interface Serving {
  services: Services;
  maskError: (error: GraphQLError) => GraphQLError;
  /** Lets answers carry the SQL that made them. */
  isDevelopment: boolean;
}

export function serverPreset(pool: Pool, { services, maskError, isDevelopment }: Serving): GraphileConfig.Preset {
  return {
    extends: [schemaPreset(pool)],
    plugins: [ServingPlugin],
    grafast: { context: () => contextOf(services), explain: isDevelopment },
    grafserv: {
      graphqlPath: '/graphql',
      graphiqlPath: '/graphiql',
      graphiqlOnGraphQLGET: false,
      graphqlOverGET: true,
      maxRequestLength: maxBodyBytes,
      maskError,
      watch: false,
    },
    ruru: graphiqlOptions,
  };
}

interface Payload {
  errors?: { message: string; extensions?: Record<string, unknown> }[];
}

/**
 * Limits on documents; a code on every error; and status 503 when the database was not to be
 * had, so that load balancers and clients try again.
 */
const ServingPlugin: GraphileConfig.Plugin = {
  name: 'ServingPlugin',
  version: '1.0.0',
  grafserv: {
    middleware: {
      setPreset(next, event) {
        const { getExecutionConfig } = event;
        const parsers = new WeakMap<GraphQLSchema, ReturnType<typeof makeParseAndValidate>>();
        event.getExecutionConfig = async function getCheckedExecutionConfig(context) {
          const config = await getExecutionConfig.call(this, context);
          const parser = parsers.get(config.schema) ?? makeParseAndValidate(config.schema);
          parsers.set(config.schema, parser);
          return { ...config, parseAndValidate: parser };
        };
        return next();
      },
      ruruHTML(next, event) {
        event.htmlParts.titleTag = graphiqlTitle;
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
