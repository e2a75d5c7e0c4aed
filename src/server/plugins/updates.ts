/**
 * An update that touches no row is an error: PERMISSION_DENIED when the caller sees the row and may not change it, NOT_FOUND when the row
 * does not exist or belongs to somebody else: those two cannot be told apart. `expectedVersion` is written into the column `version`, where a trigger refuses a value other than the present one.
 */
import 'postgraphile';
import type { PgExecutorContext } from 'postgraphile/@dataplan/pg';
import { constant, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { AgentFlowError } from '../../errors.ts';
import { demandRight, isRowVisible } from '../../store/visible-rows.ts';

interface Settable {
  set(attributeName: string, value: unknown): void;
}

/** What an update of a table takes; `admin` where nothing is said. */
const rights: Readonly<Record<string, string>> = { workflows: 'workflows:write', sources: 'sources:write', flows: 'flows:write' };

interface Outcome {
  row: unknown;
  id: string;
  table: string;
  caller: PgExecutorContext<Record<string, string>>;
}

/** Throws PERMISSION_DENIED or NOT_FOUND. */
async function assertUpdated({ row, id, table, caller }: Outcome): Promise<void> {
  if (row != null) return;
  await caller.withPgClient(caller.pgSettings, async (client) => {
    const isVisible = await isRowVisible(client, table, id);
    if (isVisible) await demandRight(client, rights[table] ?? 'admin');
    throw new AgentFlowError(isVisible ? 'PERMISSION_DENIED' : 'NOT_FOUND', undefined, { details: { field: 'id' } });
  });
}

function applyExpectedVersion(update: Settable, version: number | null): void {
  if (version !== null) update.set('version', version);
}

export const UpdatesPlugin: GraphileConfig.Plugin = {
  name: 'UpdatesPlugin',
  version: '1.0.0',
  schema: {
    entityBehavior: {
      pgCodecAttribute: {
        override: {
          provides: ['updates'],
          callback: (behavior, [, attributeName]) =>
            (attributeName === 'version' ? [behavior, '-attribute:update', '-attribute:insert'] : behavior),
        },
      },
    },
    hooks: {
      GraphQLObjectType_fields_field(field, _build, context) {
        const { isPgUpdateMutation, pgFieldResource: resource } = context.scope;
        if (!isPgUpdateMutation || !resource || !field.plan) return field;
        const { plan } = field;
        const table = resource.extensions?.pg?.name;
        if (table === undefined) throw new Error(`The table of ${resource.name} is not known`);
        return {
          ...field,
          plan: EXPORTABLE((assertUpdated, constant, plan, resource, sideEffect, table) => function updatePlan($root, args, info) {
            const $payload = plan($root, args, info) as ObjectStep<{ result: Step }>;
            const outcome = { row: $payload.get('result'), id: args.getRaw(['input', 'id']), table: constant(table), caller: resource.executor.context() };
            sideEffect(outcome, assertUpdated as never);
            return $payload;
          }, [assertUpdated, constant, plan, resource, sideEffect, table]),
        };
      },
      GraphQLInputObjectType_fields(fields, build, context) {
        const { isPgUpdateByKeysInputType, pgResource } = context.scope;
        if (!isPgUpdateByKeysInputType || !pgResource?.codec.attributes?.version) return fields;
        return build.extend(fields, {
          expectedVersion: context.fieldWithHooks({ fieldName: 'expectedVersion' }, {
            description: 'The version that the change was made for. When the object has another one by now, nothing is changed: VERSION_CONFLICT.',
            type: build.graphql.GraphQLInt,
            apply: EXPORTABLE((applyExpectedVersion) => applyExpectedVersion, [applyExpectedVersion]) as never,
          }),
        }, 'Adding expectedVersion');
      },
    },
  },
};
