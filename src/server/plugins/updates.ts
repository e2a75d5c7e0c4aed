/**
 * An update that touches no row is an error: NOT_FOUND, whether the row does not exist, belongs to somebody else, or is not yours
 * to change. `expectedVersion` is written into the column `version`, where a trigger refuses a value other than the present one.
 */
import 'postgraphile';
import { type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { AgentFlowError } from '../../errors.ts';

interface Settable {
  set(attributeName: string, value: unknown): void;
}

function assertFound(row: unknown): void {
  if (row == null) throw new AgentFlowError('NOT_FOUND', undefined, { details: { field: 'id' } });
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
        if (!context.scope.isPgUpdateMutation || !field.plan) return field;
        const { plan } = field;
        return {
          ...field,
          plan: EXPORTABLE((plan, sideEffect, assertFound) => function updatePlan($root, args, info) {
            const $payload = plan($root, args, info) as ObjectStep<{ result: Step }>;
            sideEffect($payload.get('result'), assertFound);
            return $payload;
          }, [plan, sideEffect, assertFound]),
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
