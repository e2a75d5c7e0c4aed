/**
 * What one can filter and order by: indexed columns, as PostGraphile has it, on partitioned tables too; the columns by which
 * people look for things, everywhere; and documents that have a GIN index, by what they contain.
 */
import 'postgraphile';
import { TYPES } from 'postgraphile/@dataplan/pg';

const alwaysOffered: ReadonlySet<string> = new Set(['name', 'status', 'kind', 'created_at', 'started_at', 'sequence_number']);
/** Of tables that have an index for it behind their tenant. */
const withErrorCode: ReadonlySet<string> = new Set(['executions', 'flowExecutions']);
/** Who and from where, in the audit log: few rows a tenant and time, so no index of their own. */
const ofAuditLogs: ReadonlySet<string> = new Set(['api_key_id', 'ip_address', 'user_agent', 'request_id', 'entity_key']);
const partitioned = 'p';

export const FiltersPlugin: GraphileConfig.Plugin = {
  name: 'FiltersPlugin',
  version: '1.0.0',
  gather: {
    hooks: {
      pgCodecs_attribute(_info, { pgClass, pgAttribute, attribute }) {
        if (pgClass.relkind !== partitioned) return;
        const isIndexed = pgClass.getIndexes().some((index) => index.getKeys().some((key) => key?.attname === pgAttribute.attname));
        if (!isIndexed) attribute.extensions = { ...attribute.extensions, isIndexed: false };
      },
    },
  },
  schema: {
    entityBehavior: {
      pgCodecAttribute: {
        override: {
          provides: ['filters'],
          callback(behavior, [codec, attributeName]) {
            const attribute = codec.attributes[attributeName]!;
            if (alwaysOffered.has(attributeName)) return [behavior, 'filterBy', 'orderBy'];
            if (codec.name === 'auditLogs' && ofAuditLogs.has(attributeName)) return [behavior, 'filterBy'];
            if (attributeName === 'error_code') return withErrorCode.has(codec.name) ? [behavior, 'filterBy'] : behavior;
            const isIndexedDocument = attribute.codec === TYPES.jsonb && attribute.extensions?.isIndexed !== false;
            return isIndexedDocument && ['spec', 'config'].includes(attributeName) ? [behavior, 'filterBy'] : behavior;
          },
        },
      },
    },
  },
};
