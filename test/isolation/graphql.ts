/** Documents for every field of the API, made from its schema, with another tenant's ids wherever an id can be given. */
import {
  isEnumType, isInputObjectType, isLeafType, isListType, isNonNullType, isObjectType, getNamedType, getNullableType,
  type GraphQLField, type GraphQLInputType, type GraphQLOutputType, type GraphQLSchema,
} from 'graphql';

export interface FieldDocument {
  field: string;
  query: string;
  variables: Record<string, unknown>;
}

/** One document a field of `Query` or `Mutation`; fields that take no id come once, others once an id. */
export function documentsOf(schema: GraphQLSchema, operation: 'query' | 'mutation', ids: readonly string[]): FieldDocument[] {
  const type = operation === 'query' ? schema.getQueryType() : schema.getMutationType();
  return Object.values(type?.getFields() ?? {}).flatMap((field) => {
    const takesIds = field.args.some((argument) => mentionsId(argument.type));
    return (takesIds ? ids : ids.slice(0, 1)).map((id) => documentOf(operation, field, id));
  });
}

function documentOf(operation: string, field: GraphQLField<unknown, unknown>, id: string): FieldDocument {
  const given = field.args.filter(({ type, name }) => isNonNullType(type) || mentionsId(type) || name === 'first');
  const declared = given.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
  const passed = given.map(({ name }) => `${name}: $${name}`).join(', ');
  return {
    field: field.name,
    query: `${operation} ${declared === '' ? '' : `(${declared})`} { ${field.name}${passed === '' ? '' : `(${passed})`} ${selectionOf(field.type, 0)} }`,
    variables: Object.fromEntries(given.map(({ name, type }) => [name, name === 'first' ? 20 : valueOf(type, name, id, 0)])),
  };
}

/** All leaves, and those of objects up to two levels below: where another tenant's row could show through. */
function selectionOf(type: GraphQLOutputType, depth: number): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  if (!isObjectType(named)) return '{ __typename }';
  const fields = Object.values(named.getFields()).filter((field) => !field.args.some((argument) => isNonNullType(argument.type)) && field.name !== 'query');
  const parts = fields.flatMap((field) => {
    const inner = getNamedType(field.type);
    if (isLeafType(inner)) return [field.name];
    const isWrapper = /(Connection|Edge|Payload)$/.test(named.name) || inner.name.endsWith('Connection');
    if (depth >= (isWrapper ? 4 : 2) || inner.name.endsWith('Edge') || (inner.name.endsWith('Connection') && depth > 0)) return [];
    const below = selectionOf(field.type, depth + 1);
    return below === '' || below === '{ }' ? [] : [`${field.name} ${below}`];
  });
  return `{ ${parts.length === 0 ? '__typename' : parts.join(' ')} }`;
}

function mentionsId(type: GraphQLInputType, depth = 0): boolean {
  const named = getNamedType(type);
  if (named.name === 'UUID' || named.name === 'ID') return true;
  if (!isInputObjectType(named) || depth > 2 || named.name.endsWith('Filter')) return false;
  return Object.values(named.getFields()).some((field) => mentionsId(field.type, depth + 1));
}

function valueOf(type: GraphQLInputType, name: string, id: string, depth: number): unknown {
  const nullable = getNullableType(type);
  if (isListType(nullable)) return [valueOf(nullable.ofType, name, id, depth)];
  const named = getNamedType(type);
  if (isEnumType(named)) return named.getValues()[0]!.name;
  if (isInputObjectType(named)) {
    const fields = Object.values(named.getFields()).filter((field) => field.name !== 'clientMutationId' && (isNonNullType(field.type) || mentionsId(field.type, depth + 1)));
    return depth > 4 ? {} : Object.fromEntries(fields.map((field) => [field.name, valueOf(field.type, field.name, id, depth + 1)]));
  }
  switch (named.name) {
    case 'UUID': return id;
    case 'ID': return Buffer.from(JSON.stringify([name, id])).toString('base64');
    case 'JSON': return {};
    case 'Int': return 1;
    case 'BigInt': return '1';
    case 'Float': case 'BigFloat': return '1';
    case 'Boolean': return true;
    case 'Datetime': return '2030-01-01T00:00:00Z';
    default: return /id$/i.test(name) ? id : 'x';
  }
}
