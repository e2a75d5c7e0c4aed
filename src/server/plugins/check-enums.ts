/**
 * Turns `check (column in ('a', 'b'))` into a GraphQL enum named after table and column (`WorkflowStatus.PUBLISHED`),
 * so that the constraint stays the only place where the values are written.
 */
import 'postgraphile';
import { enumCodec, TYPES } from 'postgraphile/@dataplan/pg';
import { EXPORTABLE, gatherConfig } from 'postgraphile/graphile-build';
import { withPgClientFromPgService } from 'postgraphile/graphile-build-pg';
import { type CheckConstraintRow, checkConstraintsQuery } from '../../store/check-constraints.ts';

/** Values by `schema.table.column`. */
type EnumValues = Map<string, string[]>;

interface EnumState {
  valuesByService: Map<string, EnumValues>;
}

declare global {
  namespace GraphileConfig {
    interface Plugins { CheckEnumsPlugin: true }
    interface GatherHelpers { checkEnums: Record<never, never> }
  }
}

/** `'a'::text`, and `('a'::character varying)::text` as it is written once the constraint went through a dump. */
const literal = String.raw`\(?'(?:[^']|'')*'(?:::[a-z ]+)?\)?(?:::text)?`;
const onlyAnyOfList = new RegExp(String.raw`^CHECK \(+"?\w+"?\)?(?:::text)? = ANY \(+ARRAY\[(${literal}(?:, ${literal})*)\]\)*(?:::text\[\])?\)+$`);

/** The values of a constraint (as `pg_get_constraintdef` writes it) that says nothing but `column in ('a', 'b')`; else null. */
export function valuesOfCheck(definition: string): string[] | null {
  const list = onlyAnyOfList.exec(definition)?.[1];
  if (list === undefined) return null;
  return [...list.matchAll(/'((?:[^']|'')*)'/g)].map((match) => match[1]!.replaceAll("''", "'"));
}

export const CheckEnumsPlugin: GraphileConfig.Plugin = {
  name: 'CheckEnumsPlugin',
  version: '1.0.0',
  inflection: {
    replace: {
      enumValue(previous, _preset, value, codec) {
        return codec.extensions?.isCheckEnum === true ? this.constantCase(value) : previous!(value, codec);
      },
    },
  },
  gather: gatherConfig({
    namespace: 'checkEnums' as const,
    initialState: (): EnumState => ({ valuesByService: new Map() }),
    helpers: {},
    hooks: {
      async pgIntrospection_introspection(info, { serviceName }) {
        const service = info.resolvedPreset.pgServices?.find((candidate) => candidate.name === serviceName);
        if (!service) return;
        const values: EnumValues = new Map();
        const { rows } = await withPgClientFromPgService(service, service.pgSettingsForIntrospection ?? null, (client) =>
          client.query<CheckConstraintRow>({
            text: checkConstraintsQuery,
            values: [service.schemas ?? ['public']],
          }));
        for (const row of rows) {
          const found = valuesOfCheck(row.definition);
          if (found) values.set(`${row.schema}.${row.table}.${row.column}`, found);
        }
        info.state.valuesByService.set(serviceName, values);
      },
      pgCodecs_attribute(info, { serviceName, pgClass, pgAttribute, attribute }) {
        const schema = pgClass.getNamespace()!.nspname;
        const values = info.state.valuesByService.get(serviceName)?.get(`${schema}.${pgClass.relname}.${pgAttribute.attname}`);
        if (!values) return;
        const name = info.inflection.camelCase(`${info.inflection.singularize(pgClass.relname)}_${pgAttribute.attname}`);
        const { description } = attribute;
        attribute.codec = EXPORTABLE((TYPES, description, enumCodec, name, values) => enumCodec({
          name,
          identifier: TYPES.varchar.sqlType,
          values,
          description,
          extensions: { isCheckEnum: true },
        }), [TYPES, description, enumCodec, name, values]) as typeof attribute.codec;
      },
    },
  }),
};

declare global {
  namespace DataplanPg {
    interface PgCodecExtensions { isCheckEnum?: boolean }
  }
}
