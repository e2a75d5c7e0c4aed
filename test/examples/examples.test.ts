/** Every workflow under examples/, applied as people apply it, run by a worker against a model server, a database and an HTTP service. */
import { readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { carryOut, planChanges } from '../../src/cli/workflow/changes.ts';
import { readForChecking } from '../../src/cli/workflow/check.ts';
import { filesOf, type WorkflowFile } from '../../src/cli/workflow/file.ts';
import { findWorkflow } from '../../src/cli/workflow/find.ts';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import type { JsonObject } from '../../src/engine/types.ts';
import type { RunningWorker } from '../../src/runtime/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { findActors, inTransactionAs, type Actor } from '../../src/store/acting.ts';
import { decideApproval } from '../../src/store/execution-rows.ts';
import { startExecution } from '../../src/store/workflow-rows.ts';
import { useTestDatabase } from '../support/database.ts';
import { startModelServer, type ModelServer } from '../support/model-server.ts';
import { startTestWorker, untilExecution, untilOver, type ExecutionRow } from '../support/worker.ts';

const folder = path.resolve(import.meta.dirname, '../../examples');
const names = readdirSync(folder).filter((file) => file.endsWith('.json')).map((file) => file.replace('.json', ''));

/** What the models of the examples answer, by what their prompts begin with. */
const answers: [begins: string, answer: string][] = [
  ['A customer wants money back', 'Of course, within 30 days.'],
  ['Take parties', '{"parties": ["Initech", "Hooli"], "amount": 120000}'],
  ['Sum up', 'Hosting for a year.'], ['List the risks', 'The price may rise.'],
  ['Write an article', 'An article.'], ['Write a post', 'A post.'], ['Write a newsletter', 'A paragraph.'],
  ['Judge this', '{"verdict": "unsure", "reason": "an advertisement?"}'],
  ['Explain these orders', 'A toaster is on its way.'], ['Greet this customer', 'Hello Ann!'],
  ['Write a notice', 'We are closed.'], ['Translate into German', 'Geschlossen.'], ['Translate into French', 'Fermé.'], ['Translate into Italian', 'Chiuso.'],
  ['Classify as', 'praise'], ['Answer in one sentence', 'With vinegar.'], ['You answered: With vinegar.', 'Did that help?'],
];

/** What must be in the final state, and what becomes of the nodes. */
interface Expected {
  state: Record<string, unknown>;
  nodes?: Record<string, string>;
}

const expected: Record<string, Expected> = {
  'support-bot': { state: { intent: 'refund', final_output: expect.objectContaining({ result: 'Of course, within 30 days.', topic: 'refund' }) }, nodes: { technical: 'skipped', general: 'skipped' } },
  'document-pipeline': { state: { report: { title: 'Cloud contract', parties: ['Initech', 'Hooli'], amount: 120_000, summary: 'Hosting for a year.', risks: 'The price may rise.' }, needs_review: true } },
  'parallel-content': { state: { final_output: '# the new bicycle lanes\n\nAn article.\n\n---\nA post.\n\n---\nA paragraph.' } },
  moderation: { state: { decision: expect.objectContaining({ decision: 'approved', comment: 'harmless' }), published: 'Great article! Visit my page for more.' }, nodes: { refuse: 'skipped' } },
  'order-status': { state: { orders: [expect.objectContaining({ number: 1002, item: 'Toaster' }), expect.objectContaining({ number: 1001 })], final_output: 'A toaster is on its way.' }, nodes: { nothing: 'skipped' } },
  'api-enrichment': { state: { about: { name: 'Ann', plan: 'premium' }, greeting: 'Hello Ann!' }, nodes: { unknown: 'skipped' } },
  translate: { state: { translation: 'Chiuso.' } },
  nested: { state: { notices: { en: 'We are closed.', de: 'Geschlossen.', fr: 'Fermé.' } } },
  'rate-limited-batch': { state: { final_output: { first: 'praise', second: 'praise', third: 'praise', fourth: 'praise' } } },
  'follow-up': { state: { answer: 'With vinegar.', reminder: 'Did that help?' } },
};

const database = useTestDatabase({ samples: true });
const shopName = `shop_${process.pid}`;
let superuserUrl: string;
let actor: Actor;
let models: ModelServer;
let service: http.Server;
let worker: RunningWorker;

beforeAll(async () => {
  models = await startModelServer(({ prompt }) => answers.find(([begins]) => prompt.startsWith(begins))?.[1] ?? { status: 400, text: `no answer for: ${prompt}` });
  service = http.createServer((request, response) => {
    const [status, body] = request.url === '/customers/7' ? [200, { name: 'Ann', plan: 'premium' }] : request.url === '/customers/8' ? [503, {}] : [404, { error: 'no such customer' }];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => { service.listen(0, '127.0.0.1', resolve); });
  superuserUrl = new URL('/postgres', database.url('postgres')).href;
  const shop = await makeShop();
  worker = await startTestWorker(database, {
    llmGateway: { url: models.url, key: null },
    sourceVariables: [{ name: 'SHOP_DATABASE_URL', tenant: null, hosts: [shop.hostname] }], sourceValues: { SHOP_DATABASE_URL: shop.href },
    allowHosts: [shop.host, `127.0.0.1:${(service.address() as AddressInfo).port}`],
  });
  await apply();
});
afterAll(async () => {
  await worker.close(5_000);
  await asSuperuser([`drop database ${shopName}`, `drop role ${shopName}`]);
  await models.close();
  await new Promise((resolve) => service.close(resolve));
});

/** A database of its own, filled as the README says, with a login that has nothing to do with AgentFlow. */
async function makeShop(): Promise<URL> {
  await asSuperuser([`create role ${shopName} login password 'keeper'`, `create database ${shopName} owner ${shopName}`]);
  const shop = new URL(`/${shopName}`, superuserUrl);
  [shop.username, shop.password] = [shopName, 'keeper'];
  await withClient(shop.href, (client) => client.query(readFileSync(path.join(folder, 'services/shop.sql'), 'utf8')));
  return shop;
}

async function asSuperuser(statements: string[]): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

/** As `workflow apply examples --publish` does it; the service is where it listens here. */
async function apply(): Promise<void> {
  const client = await database.owner.connect();
  try {
    actor = (await findActors(client, { tenant: null, user: null }))[0]!;
    await inTransactionAs(client, actor, async () => carryOut(client, await planChanges(client, files(), { publish: true, prune: false })));
  } finally {
    client.release();
  }
}

function files(): WorkflowFile[] {
  const { port } = service.address() as AddressInfo;
  return filesOf([folder]).map((file) => {
    const workflow = readForChecking(file).workflow!;
    return { ...workflow, spec: JSON.parse(JSON.stringify(workflow.spec).replace('127.0.0.1:4010', `127.0.0.1:${port}`)) as JsonObject };
  });
}

async function asActor<T>(use: (client: Parameters<typeof startExecution>[0]) => Promise<T>): Promise<T> {
  const client = await database.owner.connect();
  try {
    return await inTransactionAs(client, actor, use);
  } finally {
    client.release();
  }
}

/** Decides what the execution waits for, if it does, and reads it at its end. */
async function toItsEnd(id: string): Promise<ExecutionRow> {
  const asks = ({ nodes }: ExecutionRow): boolean => nodes.some(({ status, wait_reason: reason }) => status === 'waiting' && reason === 'approval');
  const row = await untilExecution(database, id, (present) => asks(present) || ['completed', 'failed'].includes(present.status));
  if (asks(row)) await asActor((client) => decideApproval(client, { executionId: id, nodeId: 'person', decision: 'approved', comment: 'harmless' }));
  return untilOver(database, id);
}

test('are at least eight, each with an input, an outcome and a line in the README', () => {
  const readme = readFileSync(path.join(folder, 'README.md'), 'utf8');
  expect(names.length).toBeGreaterThanOrEqual(8);
  expect(names.filter((name) => !readme.includes(`[${name}.json](${name}.json)`))).toEqual([]);
  expect(Object.keys(expected).toSorted()).toEqual(names.toSorted());
});

test.each(names)('%s is valid, without a warning', async (name) => {
  const tools = await loadWorkflowTools();
  expect(tools.validate(readForChecking(path.join(folder, `${name}.json`)).workflow!.spec)).toEqual({ valid: true, errors: [], warnings: [] });
});

test.each(names)('%s does what it says', async (name) => {
  const input = JSON.parse(readFileSync(path.join(folder, 'inputs', `${name}.json`), 'utf8')) as JsonObject;
  const { name: called } = readForChecking(path.join(folder, `${name}.json`)).workflow!;
  const row = await toItsEnd(await asActor(async (client) => startExecution(client, (await findWorkflow(client, called)).id, input, null)));
  expect({ status: row.status, error: row.error_message, state: row.final_state }).toEqual({ status: 'completed', error: null, state: expect.objectContaining(expected[name]!.state) });
  expect(Object.fromEntries(row.nodes.map((node) => [node.node_id, node.status]))).toMatchObject(expected[name]!.nodes ?? {});
});

test.each([['8', 'does not answer'], ['9', 'knows nothing']])('customer %s, of whom the service %s, is greeted all the same', async (customer) => {
  const row = await toItsEnd(await asActor(async (client) => startExecution(client, (await findWorkflow(client, 'API enrichment')).id, { customer_id: customer }, null)));
  expect(row).toMatchObject({ status: 'completed', final_state: { about: { name: `customer ${customer}`, plan: 'unknown' }, greeting: 'Hello Ann!' } });
});
