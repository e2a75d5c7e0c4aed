/**
 * Every constraint, hit by somebody who wants to learn something: 200 marks stand in another tenant's rows and in what PostgreSQL says of the
 * violation, and none may come out. Once with errors made by PostgreSQL for each constraint of the catalog, once through the API.
 */
import { GraphQLError } from 'postgraphile/graphql';
import { constraintBookOf } from '../../../src/server/database-errors.ts';
import { makeErrorMask } from '../../../src/server/errors.ts';
import { readConstraints } from '../../../src/store/constraints.ts';
import { type Attack, Counter, eachOf, faultsOf } from './target.ts';

const marks = Array.from({ length: 200 }, (_, index) => `mark${(index * 7_919 + 104_729).toString(36)}z`);
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const sqlstates: Readonly<Record<string, string>> = { c: '23514', u: '23505', p: '23505', f: '23503', x: '23P01', n: '23502' };

/** Marks in what another tenant has, wherever a text can stand. */
const planting = `
  update users set name = $1 where id = '550e8400-e29b-41d4-a716-446655440000';
  update workflows set name = $2, description = $3 where id = '660e8400-e29b-41d4-a716-446655440000';
  update sources set name = $4 || id::text where tenant_id = '123e4567-e89b-12d3-a456-426614174000';
  update api_keys set name = $5 where tenant_id = '123e4567-e89b-12d3-a456-426614174000';
  update flows set name = $6, description = $7 where tenant_id = '123e4567-e89b-12d3-a456-426614174000';
  insert into executions (tenant_id, user_id, workflow_id, initial_state, idempotency_key)
    values ('123e4567-e89b-12d3-a456-426614174000', '550e8400-e29b-41d4-a716-446655440000', '660e8400-e29b-41d4-a716-446655440000', jsonb_build_object($8::text, $9::text), $10)`;

const ofA = { user: '550e8400-e29b-41d4-a716-446655440000', workflow: '660e8400-e29b-41d4-a716-446655440000', tenant: '123e4567-e89b-12d3-a456-426614174000' };

/** Each meant to run into a constraint, or into a row of the other tenant; the guesses are marks themselves. */
function attempts(mark: string): [query: string, variables: object][] {
  const long = 'x'.repeat(300);
  return [
    ['mutation ($i: CreateWorkflowInput!) { createWorkflow(input: $i) { workflow { id } } }', { i: { workflow: { name: mark, spec: {} } } }],
    ['mutation ($i: CreateWorkflowInput!) { createWorkflow(input: $i) { workflow { id } } }', { i: { workflow: { name: long, spec: [] } } }],
    ['mutation ($i: CreateWorkflowInput!) { createWorkflow(input: $i) { workflow { id } } }', { i: { workflow: { name: ' ', spec: 1 } } }],
    ['mutation ($i: CreateSourceInput!) { createSource(input: $i) { source { id } } }', { i: { source: { name: mark, kind: 'LLM', config: { api_key: 'sk-1234567890abcdefghij' } } } }],
    ['mutation ($i: CreateSourceInput!) { createSource(input: $i) { source { id } } }', { i: { source: { name: '', kind: 'DB', config: 'x' } } }],
    ['mutation ($i: CreateFlowInput!) { createFlow(input: $i) { flow { id } } }', { i: { flow: { id: 'data_pipeline', name: mark, startTask: 'a', definition: {} } } }],
    ['mutation ($i: CreateUserInput!) { createUser(input: $i) { link } }', { i: { email: 'john@example.com', name: mark } }],
    ['mutation ($i: CreateUserInput!) { createUser(input: $i) { link } }', { i: { email: 'no address', name: long } }],
    ['mutation ($i: UpdateUserInput!) { updateUser(input: $i) { user { id } } }', { i: { id: ofA.user, patch: { name: mark } } }],
    ['mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { key } }', { i: { name: long, permissions: { workflows: ['fly'] }, userId: ofA.user } }],
    ['mutation ($i: CreateApiKeyInput!) { createApiKey(input: $i) { key } }', { i: { name: 'k', permissions: [mark], expiresAt: '1999-01-01T00:00:00Z' } }],
    ['mutation ($i: ExecuteWorkflowInput!) { executeWorkflow(input: $i) { execution { id } } }', { i: { workflowId: ofA.workflow, initialState: {}, idempotencyKey: mark } }],
    ['mutation ($i: CopyWorkflowInput!) { copyWorkflow(input: $i) { workflow { id } } }', { i: { id: ofA.workflow, name: mark } }],
    ['mutation ($i: CreateSecretInput!) { createSecret(input: $i) { secret { name } } }', { i: { name: `${mark} !`, value: mark, hosts: ['*'] } }],
    ['query ($m: String!) { users(filter: { name: { equalTo: $m } }) { nodes { email } } workflows(filter: { name: { startsWith: $m } }) { totalCount } }', { m: mark }],
    ['query ($m: JSON!) { searchWorkflows(contains: $m) { nodes { id } } searchSources(contains: $m) { nodes { id } } }', { m: { name: mark } }],
  ];
}

export const constraints: Attack = {
  name: 'constraints',
  async run({ api, send }, scale) {
    const counter = new Counter('marks told', 'unmasked', '5xx', 'without rule');
    const statements = planting.split(';');
    let used = 0;
    for (const statement of statements) {
      const count = (statement.match(/\$\d+/g) ?? []).length;
      await api.db.owner.query(statement.replace(/\$(\d+)/g, (_, number: string) => `$${Number(number) - used}`), marks.slice(used, used + count));
      used += count;
    }

    const rows = await readConstraints(api.db.owner);
    const mask = makeErrorMask(quiet, constraintBookOf(rows));
    const { rows: all } = await api.db.owner.query<{ name: string; kind: string }>(
      `select conname as name, contype::text as kind from pg_constraint where connamespace = 'app_public'::regnamespace and contype <> 't' order by 1`);
    for (const [index, { name, kind }] of all.entries()) {
      const [one, two, three] = [0, 1, 2].map((offset) => marks[(index * 3 + offset) % marks.length]!) as [string, string, string];
      const raised = await api.db.owner.query(
        `do $do$ begin raise exception using errcode = '${sqlstates[kind] ?? '23514'}', message = 'duplicate ${one}', detail = 'Failing row contains (${two}, Key (name)=(${three}))',
           constraint = '${name.replaceAll("'", "''")}', schema = 'app_public', table = '${two}'; end $do$`).then(() => null, (error: unknown) => error as Error);
      const shown = mask(new GraphQLError('raised', { originalError: raised }));
      const text = JSON.stringify(shown.toJSON());
      if (marks.some((mark) => text.includes(mark))) counter.add('marks told', text);
      if (shown.extensions['constraint'] !== name || shown.extensions['code'] === 'INTERNAL') counter.add('without rule', text);
    }

    const guesses = scale === 'long' ? marks : marks.slice(0, 4);
    const queries = guesses.flatMap(attempts);
    const hit = new Set<string>();
    await eachOf(queries, 4, async ([query, variables]) => {
      const answer = await send('admin@globex.example', query, variables);
      const sent = JSON.stringify(variables);
      const told = marks.filter((mark) => answer.text.includes(mark) && !sent.includes(mark));
      if (told.length > 0) counter.add('marks told', answer.text);
      for (const fault of faultsOf(answer)) counter.add(fault, `${query} ${sent.slice(0, 300)}: ${answer.text}`);
      for (const { extensions } of answer.errors ?? []) hit.add(String(extensions['constraint'] ?? extensions.code));
    });
    return {
      attack: 'constraints hit with 200 planted marks', tried: all.length + queries.length, bad: counter.counts,
      note: [`${all.length} constraints; through the API: ${[...hit].toSorted().join(', ')}`, ...Object.values(counter.examples)].join(' | '),
    };
  },
};
