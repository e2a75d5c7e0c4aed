/** The whole matrix: every operation of the API, called by each role and by keys of each permission, answers as the documented table says. */
import { buildSchema, getNamedType, type GraphQLField, type GraphQLNamedType, type GraphQLSchema, isCompositeType, isNonNullType, isObjectType } from 'graphql';
import { hashApiKey } from '../../src/keys.ts';
import { printSdl } from '../../src/server/sdl.ts';
import { type Answer, codesOf, useApi } from '../support/api.ts';
import { eachOf } from '../tools/attack/target.ts';
import { openClient, watch } from '../support/subscriptions.ts';
import { mutations, type Needs, type Operation, Plot, queries, type Role, roles, subscriptions } from './permissions.ts';

const api = useApi();
const areas = ['workflows', 'flows', 'executions', 'sources'];
const verbs = ['read', 'write', 'execute'];
type Permissions = Record<string, string[]>;

interface Asker {
  name: string;
  role: Role | null;
  /** Of a key; undefined: by session, null: a key without permissions. */
  permissions?: Permissions | null;
  headers: Record<string, string>;
}

const all: Permissions = Object.fromEntries(areas.map((area) => [area, verbs]));
const keysOfAdmin: (Permissions | null)[] = [...areas.flatMap((area) => verbs.map((verb) => ({ [area]: [verb] }))), { workflows: ['write', 'execute'] }, { flows: ['write', 'execute'] }, all, null];
let schema: GraphQLSchema;
let askers: Asker[];
let plot: Plot;

beforeAll(async () => {
  schema = buildSchema(await printSdl(api.db.url('agentflow_owner')));
  plot = new Plot(api);
  await api.db.asRole('agentflow_worker', {}, (client) => client.query(`select app_private.register_flow_tasks(gen_random_uuid(), '{fetch_data,first}', null)`), { commit: true });
  await plot.task();
  await plot.approval();
  await plot.secret();
  await plot.budget();
  const people = await Promise.all(roles.map(async (role): Promise<Asker> => ({ name: role, role, headers: await api.headersOf({ viewer: 'jane', admin: 'john' }[role as string] ?? role) })));
  const keys = await Promise.all([...keysOfAdmin.map((permissions) => ['admin', permissions] as const), ['viewer', all] as const].map(([role, permissions], index) => keyOf(role, permissions, index)));
  askers = [{ name: 'visitor', role: null, headers: {} }, ...people, ...keys];
});

async function keyOf(role: Role, permissions: Permissions | null, index: number): Promise<Asker> {
  const key = `sk_test_${`matrix${index}`.padEnd(43, 'x')}`;
  await api.db.owner.query(`insert into api_keys (tenant_id, user_id, name, key_hash, permissions) select tenant_id, id, $1, $2, $3 from users where email = $4`,
    [`matrix ${index}`, hashApiKey(key, api.db.secretKey), permissions, role === 'admin' ? 'john@example.com' : 'jane@example.com']);
  return { name: `a key of ${role} with ${JSON.stringify(permissions)}`, role, permissions, headers: { 'x-api-key': key } };
}

/** What the table says. */
function isGranted(needs: Needs, { role, permissions }: Asker): boolean {
  if (needs === 'anybody') return true;
  if (role === null) return false;
  if (needs === 'anyone signed in') return true;
  if (needs === 'a person') return permissions === undefined;
  if (roles.indexOf(role) < roles.indexOf(needs.least)) return false;
  if (permissions === undefined) return true;
  const { key } = needs;
  return key !== null && key.verbs.every((verb) => permissions?.[key.area]?.includes(verb));
}

/** Of a payload the row that was changed: what may be changed is shown as it is then. */
function selectionOf(type: GraphQLNamedType, depth = 0): string {
  if (!isObjectType(type)) return isCompositeType(type) ? '{ __typename }' : '';
  const fields = Object.values(type.getFields()).filter(({ name, args }) => name !== 'query' && !args.some((argument) => isNonNullType(argument.type)));
  if (type.name.endsWith('Connection')) return '{ nodes { __typename } }';
  const rows = type.name.endsWith('Payload') && depth === 0 ? fields.filter((field) => isObjectType(getNamedType(field.type)) && !getNamedType(field.type).name.endsWith('Edge')) : [];
  if (rows.length > 0) return `{ ${rows.map((row) => `${row.name} ${selectionOf(getNamedType(row.type), 1)}`).join(' ')} }`;
  return `{ ${fields.find((field) => !isCompositeType(getNamedType(field.type)) && field.name !== 'clientMutationId')?.name ?? '__typename'} }`;
}

/** One document an operation: its own arguments as variables, and so much of the answer as tells whether there is one. */
function documentOf(kind: 'query' | 'mutation', field: GraphQLField<unknown, unknown>, given: Record<string, unknown>): string {
  const passed = field.args.filter(({ name }) => name in given);
  const declared = passed.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
  const selection = selectionOf(getNamedType(field.type));
  return `${kind} ${declared === '' ? '' : `(${declared})`} { it: ${field.name}${passed.length === 0 ? '' : `(${passed.map(({ name }) => `${name}: $${name}`).join(', ')})`} ${selection} }`;
}

function isEmpty(value: unknown): boolean {
  return value == null || (typeof value === 'object' && 'nodes' in value && Array.isArray(value.nodes) && value.nodes.length === 0);
}

/** Whether it was done; throws for an answer that says neither yes nor no. */
function wasDone(kind: 'query' | 'mutation', answer: Answer, beyond: readonly string[], mayBeEmpty: boolean): boolean {
  const codes = codesOf(answer);
  if (codes.length === 0) return kind === 'mutation' || mayBeEmpty || !isEmpty((answer.data as { it: unknown }).it);
  if (codes.every((code) => beyond.includes(code))) return true;
  if (codes.every((code) => ['PERMISSION_DENIED', 'UNAUTHENTICATED', 'NOT_FOUND'].includes(code)) || /API key has no/.test(answer.errors![0]!.message)) return false;
  throw new Error(`${answer.status} ${answer.text}`);
}

async function wrong(kind: 'query' | 'mutation', name: string, operation: Operation): Promise<string[]> {
  const type = kind === 'query' ? schema.getQueryType()! : schema.getMutationType()!;
  const field = type.getFields()[name.split(' ')[0]!]!;
  const bySession = operation.needs === 'a person' && kind === 'mutation';
  const found: string[] = [];
  await eachOf(askers, 4, async (asker) => {
    // A session that is ended by it is of no use to the others; and checking a password takes a quarter of a second.
    if (operation.beyond?.includes('INVALID_CREDENTIALS') && !['visitor', 'viewer', 'admin'].includes(asker.name) && asker.permissions !== all) return;
    const headers = bySession && asker.permissions === undefined && asker.role !== null ? await leaver(asker.role) : asker.headers;
    const given = await operation.arguments(plot) as Record<string, unknown>;
    const answer = await api.post(JSON.stringify({ query: documentOf(kind, field, given), variables: given }), headers);
    const done = wasDone(kind, answer, operation.beyond ?? [], name === 'usage');
    if (done !== isGranted(operation.needs, asker)) found.push(`${asker.name} ${done ? 'may' : 'may not'}: ${answer.text.slice(0, 200)}`);
  });
  return found;
}

let leavers = 0;
async function leaver(role: Role): Promise<Record<string, string>> {
  leavers += 1;
  const email = `leaver-${leavers}@example.com`;
  await api.db.owner.query(`insert into users (tenant_id, email, name, password_hash, role) values ($1, $2, 'Leaver', '!', $3)`, [plot.tenant, email, role]);
  return api.headersOf(email);
}

test('the matrix has every operation of the API, and no other', () => {
  const named = (operations: object): string[] => [...new Set(Object.keys(operations).map((name) => name.split(' ')[0]!))].sort();
  expect(named(mutations)).toEqual(Object.keys(schema.getMutationType()!.getFields()).sort());
  expect(named(queries)).toEqual(Object.keys(schema.getQueryType()!.getFields()).sort());
  expect(named(subscriptions)).toEqual(Object.keys(schema.getSubscriptionType()!.getFields()).sort());
});

test('every argument that an operation demands is given', async () => {
  for (const [kind, operations] of [['getQueryType', queries], ['getMutationType', mutations]] as const) {
    for (const [name, operation] of Object.entries(operations)) {
      const given = Object.keys(await operation.arguments(plot) as object);
      const demanded = schema[kind]()!.getFields()[name.split(' ')[0]!]!.args.filter(({ type }) => isNonNullType(type)).map((argument) => argument.name);
      expect([name, demanded.filter((argument) => !given.includes(argument))]).toEqual([name, []]);
    }
  }
});

test.each(Object.keys(mutations))('%s', async (name) => {
  expect(await wrong('mutation', name, mutations[name]!)).toEqual([]);
});

test.each(Object.keys(queries))('%s', async (name) => {
  expect(await wrong('query', name, queries[name]!)).toEqual([]);
});

test.each(Object.keys(subscriptions))('%s', async (name) => {
  const field = schema.getSubscriptionType()!.getFields()[name]!;
  const found: string[] = [];
  await eachOf(askers, 4, async (asker) => {
    const given = await subscriptions[name]!.arguments(plot) as { id: string };
    const connection = openClient(api.url, asker.headers);
    const first = await watch(connection, `subscription ($id: ${String(field.args[0]!.type)}) { it: ${name}(id: $id) { __typename } }`, given).next();
    await connection.client.dispose();
    const codes = first.errors?.map(({ extensions }: { extensions: { code: string } }) => extensions.code) ?? [];
    const done = codes.length === 0 && first.data.it !== null;
    if (!done && !codes.every((code: string) => ['PERMISSION_DENIED', 'UNAUTHENTICATED', 'NOT_FOUND'].includes(code))) throw new Error(JSON.stringify(first));
    if (done !== isGranted(subscriptions[name]!.needs, asker)) found.push(`${asker.name} ${done ? 'may' : 'may not'}: ${JSON.stringify(first)}`);
  });
  expect(found).toEqual([]);
});
