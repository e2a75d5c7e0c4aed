/** Requests made from the schema by chance, many of their values hostile, sent as everybody: whatever comes, the answer is a registered one. */
import {
  buildClientSchema, getIntrospectionQuery, getNamedType, getNullableType, type GraphQLArgument, type GraphQLField, type GraphQLInputField, type GraphQLInputType, type GraphQLOutputType, type GraphQLSchema,
  isCompositeType, isEnumType, isInputObjectType, isLeafType, isListType, isNonNullType, isObjectType,
} from 'postgraphile/graphql';
import { type Attack, Counter, eachOf, faultsOf, randomOf } from './target.ts';

const hostile: readonly unknown[] = [
  null, '', ' ', '\0', '\ud800', '\u202e', "'; drop table users; --", '" or ""="', '%', '_', '\\', '$1', '${7*7}', '{{7*7}}', '../../etc/passwd', '<script>alert(1)</script>', 'x'.repeat(5_000), 'é'.repeat(300),
  0, -1, 1, 2_147_483_647, -2_147_483_648, 2_147_483_648, 1e308, 1.5, Number.MAX_SAFE_INTEGER, true, false, [], {}, [[]], { __proto__: 1 }, { constructor: { prototype: {} } }, [null], ['a', 1, null, {}],
  '00000000-0000-0000-0000-000000000000', 'not-a-uuid', '9999-99-99', '2024-02-30T25:61:61Z', 'infinity', '-infinity', '294277-01-01', 'NaN', '1e400', '99999999999999999999999999', 'WyJXb3JrZmxvdyIsIngiXQ==', 'e30=', '////',
];
const plausible: Readonly<Record<string, readonly unknown[]>> = {
  UUID: ['660e8400-e29b-41d4-a716-446655440000', '880e8400-e29b-41d4-a716-446655440000', '550e8400-e29b-41d4-a716-446655440000', '11111111-1111-4111-8111-111111111111'],
  ID: ['WyJXb3JrZmxvdyIsIjY2MGU4NDAwLWUyOWItNDFkNC1hNzE2LTQ0NjY1NTQ0MDAwMCJd'], String: ['x', 'data_pipeline', 'john@example.com', 'Customer Support Bot'], Int: [1, 0, 5, 100], BigInt: ['1', '0'], BigFloat: ['1.5'], Float: [1.5],
  Boolean: [true, false], Datetime: ['2024-01-01T00:00:00Z'], JSON: [{}, { nodes: [], edges: [] }, { name: 'x' }], Cursor: ['WyJuYXR1cmFsIiwxXQ=='],
};
/** They would end the sessions of the fuzz itself, or take a quarter of a second of both processors each. */
const left: ReadonlySet<string> = new Set(['logout', 'logoutEverywhere', 'authenticate', 'changePassword', 'useAccessLink', 'refreshSession', 'deleteUser', 'updateUser']);

class Fuzzer {
  readonly #random: () => number;
  readonly #schema: GraphQLSchema;
  #variables: Record<string, unknown> = {};
  #declared: string[] = [];
  #fields = 0;

  constructor(schema: GraphQLSchema, random: () => number) {
    this.#schema = schema;
    this.#random = random;
  }

  next(): { query: string; variables: Record<string, unknown>; root: string } {
    [this.#variables, this.#declared, this.#fields] = [{}, [], 0];
    const operation = this.#random() < 0.5 ? 'query' : 'mutation';
    const type = operation === 'query' ? this.#schema.getQueryType()! : this.#schema.getMutationType()!;
    const field = this.#pick(Object.values(type.getFields()).filter(({ name }) => !left.has(name)));
    const selection = this.#field(field, 0);
    const declared = this.#declared.length === 0 ? '' : `(${this.#declared.join(', ')})`;
    return { query: `${operation} ${declared} { ${selection} }`, variables: this.#variables, root: field.name };
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }

  #field(field: GraphQLField<unknown, unknown>, depth: number): string {
    this.#fields += 1;
    const given = field.args.filter((argument) => isNonNullType(argument.type) || this.#random() < 0.3).map((argument) => this.#argument(argument));
    return `${field.name}${given.length === 0 ? '' : `(${given.join(', ')})`} ${this.#selection(field.type, depth)}`;
  }

  #argument({ name, type }: GraphQLArgument): string {
    const variable = `v${this.#declared.length}`;
    this.#declared.push(`$${variable}: ${String(type)}`);
    this.#variables[variable] = this.#value(type, 0);
    return `${name}: $${variable}`;
  }

  #value(type: GraphQLInputType, depth: number): unknown {
    if (this.#random() < 0.03) return this.#pick(hostile);
    const nullable = getNullableType(type);
    if (isListType(nullable)) return Array.from({ length: Math.floor(this.#random() * 3) }, () => this.#value(nullable.ofType, depth + 1));
    if (isInputObjectType(nullable)) {
      const fields = Object.values(nullable.getFields()).filter((field: GraphQLInputField) => isNonNullType(field.type) || (depth < 3 && this.#random() < 0.3));
      return depth > 5 ? {} : Object.fromEntries(fields.map((field) => [field.name, this.#value(field.type, depth + 1)]));
    }
    if (isEnumType(nullable)) return this.#pick(nullable.getValues()).name;
    return this.#pick(this.#random() < 0.2 ? hostile : plausible[getNamedType(type).name] ?? hostile);
  }

  #selection(type: GraphQLOutputType, depth: number): string {
    const named = getNamedType(type);
    if (isLeafType(named)) return '';
    if (!isCompositeType(named) || !isObjectType(named) || depth > 4) return '{ __typename }';
    const fields = Object.values(named.getFields()).filter((field) => this.#fields < 60 && this.#random() < (isLeafType(getNamedType(field.type)) ? 0.6 : 0.3)).map((field) => this.#field(field, depth + 1));
    return `{ __typename ${fields.join(' ')} }`;
  }
}

const callers = ['john', 'jane', 'developer', 'operator', 'architect', 'key', 'visitor', 'admin@globex.example'];

export const fuzz: Attack = {
  name: 'fuzz',
  async run({ api, send }, scale) {
    const count = scale === 'long' ? Number(process.env['FUZZ_REQUESTS'] ?? 100_000) : 300;
    const seed = Number(process.env['FUZZ_SEED'] ?? 1);
    const schema = buildClientSchema(await api.data('john', getIntrospectionQuery()));
    const fuzzer = new Fuzzer(schema, randomOf(seed));
    const counter = new Counter('5xx', 'internal', 'without code', 'unmasked', 'no answer');
    const [codes, roots] = [new Map<string, number>(), new Set<string>()];
    let executed = 0;
    await eachOf(Array.from({ length: count }), 8, async (_, index) => {
      const { query, variables, root } = fuzzer.next();
      roots.add(root);
      const asked = `${callers[index % callers.length]}: ${query} ${JSON.stringify(variables).slice(0, 500)}`;
      try {
        const answer = await send(callers[index % callers.length]!, query, variables);
        if (answer.data != null) executed += 1;
        for (const { extensions } of answer.errors ?? []) codes.set(String(extensions?.code), (codes.get(String(extensions?.code)) ?? 0) + 1);
        for (const fault of faultsOf(answer)) counter.add(fault, `${asked} => ${JSON.stringify(answer.errors)}`);
      } catch (error) {
        counter.add('no answer', `${asked} => ${String(error)}`);
      }
    });
    if ((await fetch(`${api.url}/readyz`)).status !== 200) counter.add('no answer', 'readyz');
    const told = [...codes].toSorted(([, a], [, b]) => b - a).map(([code, number]) => `${code} ${number}`).join(', ');
    return { attack: `fuzz by the schema (seed ${seed})`, tried: count, bad: counter.counts, note: [`${executed} executed, ${roots.size} fields; ${told}`, ...Object.values(counter.examples)].join(' | ') };
  },
};
