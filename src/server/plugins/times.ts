/** Times are written in ISO 8601. PostgreSQL takes many other words for one ("tomorrow", "infinity", "Jan 5"), which mean something else each day or nothing to clients. */
import 'postgraphile';
import { GraphQLError, Kind, type GraphQLScalarLiteralParser } from 'postgraphile/graphql';

/** That there is such a day or hour is left to the database. */
const shapes: Readonly<Record<string, { shape: RegExp; example: string }>> = {
  Datetime: { shape: /^\d{4,6}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?(Z|[+-]\d\d(:?\d\d)?)?)?$/i, example: '2026-01-31T12:00:00Z' },
  Date: { shape: /^\d{4,6}-\d\d-\d\d$/, example: '2026-01-31' },
};

export const TimesPlugin: GraphileConfig.Plugin = {
  name: 'TimesPlugin',
  version: '1.0.0',
  schema: {
    hooks: {
      GraphQLScalarType(config) {
        const rule = shapes[config.name];
        if (!rule) return config;
        const parseValue = (value: unknown): string => {
          if (typeof value === 'string' && rule.shape.test(value)) return value;
          throw new GraphQLError(`A ${config.name} is written in ISO 8601: ${rule.example}.`);
        };
        const parseLiteral: GraphQLScalarLiteralParser<string> = (node) => parseValue(node.kind === Kind.STRING ? node.value : undefined);
        return { ...config, parseValue, parseLiteral };
      },
    },
  },
};
