/**
 * Two ways to one row: by its own id, and `node(globalId:)` for all. Keys that carry the tenant (`workflowByTenantIdAndId`), unique columns (`userByEmail`)
 * and Relay twins
 * of fields and mutations are not offered. Nothing is deleted by a derived mutation: deletion is a function.
 */
import 'postgraphile';

export const KeysPlugin: GraphileConfig.Plugin = {
  name: 'KeysPlugin',
  version: '1.0.0',
  after: ['NodeAccessorPlugin'],
  schema: {
    hooks: {
      GraphQLObjectType_fields: {
        after: ['NodeAccessorPlugin'],
        provides: ['keys'],
        callback(fields, build, { scope }) {
          if (!scope.isRootQuery) return fields;
          const twins = new Set(build.getNodeTypeNames?.().map((typeName) => build.inflection.nodeById(typeName)));
          return Object.fromEntries(Object.entries(fields).filter(([fieldName]) => !twins.has(fieldName)));
        },
      },
    },
    entityBehavior: {
      pgResource: {
        override: {
          provides: ['keys'],
          callback: (behavior) => [behavior, '-delete', '-resource:delete', '-nodeId:resource:update', '-nodeId:resource:delete'],
        },
      },
      pgCodec: {
        override: {
          provides: ['keys'],
          callback: (behavior) => [behavior, '-nodeId:resource:update', '-nodeId:resource:delete'],
        },
      },
      pgResourceUnique: {
        override: {
          provides: ['keys'],
          callback(behavior, [, unique]) {
            const isOwnId = unique.isPrimary === true && unique.attributes.length === 1;
            return isOwnId ? [behavior, '-constraint:resource:delete'] : [behavior, '-single', '-constraint:resource:update', '-constraint:resource:delete'];
          },
        },
      },
    },
  },
};
