/** Objects of one tenant, asked for as another: by node, by key, by path, by filter, and in mutations. */
import { type Attack, Counter, eachOf, faultsOf } from './target.ts';

interface Kind {
  /** As in the Relay id. */
  type: string;
  /** Queries of it by key; %id stands for the id. */
  byKey: string[];
  mutations: string[];
  ids(api: Parameters<Attack['run']>[0]['api'], count: number): Promise<string[]>;
}

const tenantA = '123e4567-e89b-12d3-a456-426614174000';
const userA = '550e8400-e29b-41d4-a716-446655440000';
const workflowA = '660e8400-e29b-41d4-a716-446655440000';

const inserted = (sql: string) => async (api: Parameters<Attack['run']>[0]['api'], count: number): Promise<string[]> =>
  (await api.db.owner.query<{ id: string }>(sql, [count])).rows.map(({ id }) => id);

const kinds: Kind[] = [
  {
    type: 'Workflow',
    byKey: ['workflow(id: "%id") { id name }', 'workflows(filter: { id: { equalTo: "%id" } }) { nodes { id name } }', 'executions(filter: { workflowId: { equalTo: "%id" } }) { nodes { id } }'],
    mutations: ['updateWorkflow(input: { id: "%id", patch: { name: "mine" } }) { workflow { id } }', 'publishWorkflow(input: { id: "%id" }) { workflow { id } }', 'deleteWorkflow(input: { id: "%id" }) { workflow { id } }',
      'executeWorkflow(input: { workflowId: "%id", initialState: {} }) { execution { id } }', 'archiveWorkflow(input: { id: "%id" }) { workflow { id } }', 'restoreWorkflow(input: { id: "%id" }) { workflow { id } }'],
    ids: inserted(`insert into workflows (name, spec, tenant_id, user_id) select 'bait ' || n, '{}', '${tenantA}', '${userA}' from generate_series(1, $1::int) n returning id`),
  },
  {
    type: 'Execution',
    byKey: ['execution(id: "%id") { id initialState diagram }', 'executions(filter: { id: { equalTo: "%id" } }) { nodes { id } totalCount }'],
    mutations: ['cancelExecution(input: { id: "%id" }) { execution { id } }', 'retryExecution(input: { id: "%id" }) { execution { id } }', 'decideApproval(input: { executionId: "%id", nodeId: "x", decision: "approved" }) { execution { id } }'],
    ids: inserted(`insert into executions (tenant_id, user_id, workflow_id, initial_state) select '${tenantA}', '${userA}', '${workflowA}', '{}' from generate_series(1, $1::int) n returning id`),
  },
  {
    type: 'Source',
    byKey: ['source(id: "%id") { id name config }', 'sources(filter: { id: { equalTo: "%id" } }) { nodes { id } }'],
    mutations: ['updateSource(input: { id: "%id", patch: { name: "mine" } }) { source { id } }', 'deleteSource(input: { id: "%id" }) { source { id } }', 'testSource(input: { id: "%id" }) { ok }'],
    ids: inserted(`insert into sources (name, kind, config, tenant_id, user_id) select 'bait ' || n, 'api', '{"base_url": "https://bait.example"}', '${tenantA}', '${userA}' from generate_series(1, $1::int) n returning id`),
  },
];

const globalIdOf = (type: string, id: string): string => Buffer.from(JSON.stringify([type, id])).toString('base64');

export const relayIds: Attack = {
  name: 'relay-ids',
  async run({ api, send }, scale) {
    const perKind = Math.ceil((scale === 'long' ? 5_000 : 36) / kinds.length);
    const counter = new Counter('seen', 'changed', 'told apart', '5xx');
    let tried = 0;
    for (const { type, byKey, mutations, ids } of kinds) {
      const all = await ids(api, perKind);
      const own = await send('john', `{ node(globalId: "${globalIdOf(type, all[0]!)}") { __typename } }`);
      if (own.data?.node?.__typename !== type) throw new Error(`The owner does not find a ${type} by its Relay id: ${own.text}`);
      await eachOf(all, 6, async (id, index) => {
        tried += 1;
        const fields = [`n: node(globalId: "${globalIdOf(type, id)}") { __typename globalId }`, ...byKey.map((field, place) => `k${place}: ${field.replaceAll('%id', id)}`)];
        const seen = await send('admin@globex.example', `{ ${fields.join(' ')} }`);
        const found = Object.values(seen.data ?? {}).filter((value) => value !== null && (value as { nodes?: unknown[] }).nodes?.length !== 0);
        if (found.length > 0) counter.add('seen', JSON.stringify(found));
        for (const fault of faultsOf(seen)) counter.add(fault, seen.text);
        // In turn, and each beside an id that nobody has: the two must be answered alike.
        const mutation = mutations[index % mutations.length]!;
        const unknown = mutation.replaceAll('%id', '00000000-0000-4000-8000-00000000abcd');
        const [answer, nobody] = [await send('admin@globex.example', `mutation { m: ${mutation.replaceAll('%id', id)} }`), await send('admin@globex.example', `mutation { m: ${unknown} }`)];
        if (answer.data?.m) counter.add('changed', answer.text);
        const saidOf = ({ errors }: typeof answer): string => JSON.stringify(errors?.map(({ message, extensions: { requestId: _, ...extensions } }) => [message, extensions]));
        if (saidOf(answer) !== saidOf(nobody)) counter.add('told apart', `${mutation}: ${saidOf(answer)} / ${saidOf(nobody)}`);
        for (const fault of faultsOf(answer)) counter.add(fault, `${mutation}: ${answer.text}`);
      });
    }
    return { attack: "another tenant's ids by node, key, filter and mutation", tried, bad: counter.counts, note: Object.values(counter.examples).join(' | ') };
  },
};
