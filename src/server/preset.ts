/** What GraphQL is made of: the schema `app_public` as a signed-in user sees it, and the plugins for what SQL cannot say. */
import { PgSimplifyInflectionPreset } from '@graphile/simplify-inflection';
import type { Pool } from 'pg';
import 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import type { GraphQLError } from 'postgraphile/graphql';
import 'postgraphile/grafserv';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { PostGraphileConnectionFilterPreset } from 'postgraphile-plugin-connection-filter';
import { makeWithCallerClient, type WithCallerClient } from '../store/caller-transactions.ts';
import { contextOf, type Services } from './context.ts';
import { withinDeadline } from './deadline.ts';
import type { Face } from './face.ts';
import { graphiqlOptions } from './graphiql.ts';
import { maxBodyBytes } from './limits.ts';
import { schemaSettings } from './schema-answers.ts';
import { AccessPlugin } from './plugins/access.ts';
import { AuthenticationPlugin } from './plugins/authentication.ts';
import { ConfirmationPlugin } from './plugins/confirmation.ts';
import { BulkExecutionsPlugin } from './plugins/bulk-executions.ts';
import { CheckEnumsPlugin } from './plugins/check-enums.ts';
import { CopyOfPlugin } from './plugins/copy-of.ts';
import { DefaultOrderPlugin } from './plugins/default-order.ts';
import { DiagramsPlugin } from './plugins/diagrams.ts';
import { ExecutionInputPlugin } from './plugins/execution-input.ts';
import { ExecutionUpdatedPlugin } from './plugins/execution-updated.ts';
import { FiltersPlugin } from './plugins/filters.ts';
import { FlowByIdPlugin } from './plugins/flow-by-id.ts';
import { FlowExecutionsPlugin } from './plugins/flow-executions.ts';
import { FlowNamesPlugin, FlowsPlugin } from './plugins/flows.ts';
import { InputPlacesPlugin } from './plugins/input-places.ts';
import { KeysPlugin } from './plugins/keys.ts';
import { NamesPlugin } from './plugins/names.ts';
import { PageSizePlugin } from './plugins/page-size.ts';
import { PublishGatePlugin } from './plugins/publish-gate.ts';
import { RememberedBehaviorsPlugin } from './plugins/remembered-behaviors.ts';
import { RememberedNamesPlugin } from './plugins/remembered-names.ts';
import { SecretsPlugin } from './plugins/secrets.ts';
import { servingPlugin } from './plugins/serving.ts';
import { TestSourcePlugin } from './plugins/test-source.ts';
import { TextAnswersPlugin } from './plugins/text-answers.ts';
import { TimesPlugin } from './plugins/times.ts';
import { UpdatesPlugin } from './plugins/updates.ts';
import { ValidationPlugin } from './plugins/validation.ts';

/** The part that decides the schema; it needs a database, and nothing of a server. */
/** `withClient`: where its statements go, unless that is the pool. */
export function schemaPreset(pool: Pool, withClient: WithCallerClient = makeWithCallerClient(pool)): GraphileConfig.Preset {
  return {
    extends: [PostGraphileAmberPreset, PgSimplifyInflectionPreset, PostGraphileConnectionFilterPreset],
    plugins: [
      RememberedBehaviorsPlugin, RememberedNamesPlugin, NamesPlugin, CheckEnumsPlugin, KeysPlugin, FiltersPlugin, PageSizePlugin, TimesPlugin, DefaultOrderPlugin, FlowByIdPlugin, UpdatesPlugin, CopyOfPlugin,
      FlowNamesPlugin, FlowsPlugin, FlowExecutionsPlugin,
      AuthenticationPlugin, AccessPlugin, ExecutionInputPlugin, BulkExecutionsPlugin, ExecutionUpdatedPlugin, ValidationPlugin, PublishGatePlugin, DiagramsPlugin, SecretsPlugin, TestSourcePlugin,
    ],
    disablePlugins: [
      // What does not fit ends the start, instead of leaving a hole in the API.
      'SwallowErrorsPlugin',
      // Further ways to the same thing: `condition` beside `filter`, Query.query.
      'PgConditionArgumentPlugin', 'PgConditionCustomFieldsPlugin', 'QueryQueryPlugin',
      // Filters over whole child tables: no index serves them.
      'PgConnectionArgFilterBackwardRelationsPlugin', 'PgConnectionArgFilterComputedAttributesPlugin',
    ],
    pgServices: [serviceOf(pool, withClient)],
    // An argument without a default must be given.
    gather: { pgStrictFunctions: true },
    // Warnings would repeat on the console, beside the log, what clients send.
    schema: { connectionFilterAllowEmptyObjectInput: true, connectionFilterAllowNullInput: true, muteWarnings: true },
  };
}

/** PostGraphile's own service, but for how it opens transactions. */
function serviceOf(pool: Pool, withClient: WithCallerClient): GraphileConfig.PgServiceConfiguration {
  const service = makePgService({ pool, schemas: ['app_public'], pubsub: false, pgSettingsForIntrospection: schemaSettings });
  return { ...service, adaptor: { ...service.adaptor, createWithPgClient: () => inTime(withClient) as never } };
}

function inTime(withClient: WithCallerClient): WithCallerClient {
  return async (settings, use) => withClient(withinDeadline(settings), use);
}

export interface Serving {
  services: Services;
  face: Face;
  maskError: (error: GraphQLError) => GraphQLError;
  /** Lets answers carry the SQL that made them. */
  isDevelopment: boolean;
  withClient: WithCallerClient;
}

export function serverPreset(pool: Pool, { services, face, maskError, isDevelopment, withClient }: Serving): GraphileConfig.Preset {
  return {
    extends: [schemaPreset(pool, withClient)],
    plugins: [InputPlacesPlugin, servingPlugin(face), TextAnswersPlugin, ConfirmationPlugin],
    grafast: { context: () => contextOf(services), explain: isDevelopment },
    grafserv: {
      graphqlPath: '/graphql',
      graphiqlPath: '/graphiql',
      graphiqlOnGraphQLGET: false,
      graphqlOverGET: true,
      maxRequestLength: maxBodyBytes,
      maskError,
      outputDataAsString: true,
      watch: false,
    },
    ruru: graphiqlOptions,
  };
}
