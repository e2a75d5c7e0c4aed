/**
 * Names of the API: a column `id` is `id`, the Relay object id is `globalId`, and the tenant, which leads every composite
 * key, is no part of any name (`workflow.versions`, never `workflow.tenantWorkflowVersions`).
 */
import 'postgraphile';

type KeyDetails = { codec: { attributes: Record<string, unknown> }; attributeName: string };

declare global {
  namespace GraphileBuild {
    interface Inflection {
      _getBaseNameFromKeys(detailedKeys: KeyDetails[]): string | null;
    }
  }
}

export const NamesPlugin: GraphileConfig.Plugin = {
  name: 'NamesPlugin',
  version: '1.0.0',
  after: ['PgSimplifyInflectionPlugin'],
  inflection: {
    replace: {
      nodeIdFieldName() {
        return 'globalId';
      },
      _attributeName(_previous, _preset, { attributeName, codec }) {
        const name = codec.attributes[attributeName]?.extensions?.tags?.name;
        return this.coerceToGraphQLName(typeof name === 'string' ? name : attributeName);
      },
      _getBaseNameFromKeys(previous, _preset, detailedKeys) {
        const withoutTenant = detailedKeys.filter((key) => key.attributeName !== 'tenant_id');
        return previous?.(withoutTenant.length > 0 ? withoutTenant : detailedKeys) ?? null;
      },
    },
  },
};
