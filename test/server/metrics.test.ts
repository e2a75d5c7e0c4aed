/** GET /metrics: to whom it is told, and what. */
import http from 'node:http';
import pino from 'pino';
import { Metrics, metricsType } from '../../src/metrics.ts';
import { serveMetrics } from '../../src/server/metrics.ts';
import { startApi, type TestApi } from '../support/api.ts';
import { insertExecution, insertWorkflow } from '../support/executions.ts';
import { keepingLog, startTestWorker, untilOver } from '../support/worker.ts';

const token = 'metrics-token-0123456789-0123456789-abc';
const planted = 'planted-secret-7f3a';

async function read(url: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string; type: string | null; challenge: string | null }> {
  const response = await fetch(`${url}/metrics`, { headers });
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type'), challenge: response.headers.get('www-authenticate') };
}

/** Value of a sample, by its name and labels as they stand in the text. */
const valueOf = (text: string, sample: string): number => Number(text.split('\n').find((line) => line.startsWith(`${sample} `))?.slice(sample.length + 1));

/** The grammar of the text format: comments, and samples with labels. */
const line = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? [-+0-9.e]+(Inf)?)$/;

describe('the API', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({});
  });
  afterAll(async () => {
    await api.server.close(1_000);
    await api.db.drop();
  });

  test('tells who asks from this machine, and nobody who comes through a proxy on it', async () => {
    expect(await read(api.url)).toMatchObject({ status: 200, type: metricsType });
    for (const name of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
      expect(await read(api.url, { [name]: '127.0.0.1' })).toMatchObject({ status: 401, challenge: expect.stringContaining('Bearer'), text: expect.stringContaining('UNAUTHENTICATED') });
    }
  });

  test('counts requests by route and code, connections, and what the database knows', async () => {
    await api.query('john', '{ currentUser { id } }');
    await fetch(`${api.url}/nothing-here?x=${planted}`);
    await new Promise((resolve) => http.request(`${api.url}/healthz`, { method: 'PURGE' }, resolve).end());
    const { text } = await read(api.url);
    expect(text.trimEnd().split('\n').filter((one) => !line.test(one))).toEqual([]);
    expect(valueOf(text, 'agentflow_http_requests_total{route="/graphql",method="POST",code="200"}')).toBeGreaterThan(0);
    expect(valueOf(text, 'agentflow_http_requests_total{route="other",method="GET",code="404"}')).toBe(1);
    expect(text).toMatch(/route="\/healthz",method="other"/);
    expect(valueOf(text, 'agentflow_http_request_duration_seconds_count{route="/graphql"}')).toBeGreaterThan(0);
    expect(valueOf(text, 'agentflow_database_up')).toBe(1);
    for (const name of ['agentflow_jobs_due', 'agentflow_oldest_job_seconds', 'agentflow_workers', 'agentflow_long_queues', 'process_resident_memory_bytes', 'agentflow_database_waiting_requests{pool="primary"}']) expect(valueOf(text, name)).toBeGreaterThanOrEqual(0);
  });

  test('names no tenant, no person, no secret', async () => {
    await api.query('john', `mutation { createSecret(input: {name: "s", value: "${planted}"}) { clientMutationId } }`);
    await api.query('key', '{ workflows { nodes { id } } }');
    await api.post(JSON.stringify({ query: `{ x${planted.replaceAll('-', '_')} }` }), { authorization: `Bearer ${planted}` });
    const { rows } = await api.db.owner.query<{ told: string }>('select unnest(array[id::text, slug, name]) as told from tenants union select unnest(array[id::text, email]) from users union select key_hash from api_keys');
    const { text } = await read(api.url);
    expect([planted, planted.replaceAll('-', '_'), api.db.secretKey, api.db.jwtSecret, api.db.samples.apiKey, ...rows.map(({ told }) => told)].filter((word) => text.includes(word))).toEqual([]);
  });
});

test('with a token: who has it, from anywhere, and nobody else', async () => {
  const metrics = new Metrics();
  const { url, close } = await serveMetrics(metrics, { host: '127.0.0.1', port: 0, readers: { token, isClosed: true }, log: pino({ level: 'silent' }) });
  const base = url.replace('/metrics', '');
  try {
    expect((await read(base, { authorization: `Bearer ${token}`, 'x-forwarded-for': '192.0.2.1' })).status).toBe(200);
    for (const authorization of ['', token, `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`]) expect((await read(base, { authorization })).status).toBe(401);
    expect((await fetch(`${base}/`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(404);
  } finally {
    await close(100);
  }
});

test('a worker counts executions, nodes by type and outcome, and batches', async () => {
  const api = await startApi({});
  const metrics = new Metrics();
  const worker = await startTestWorker(api.db, {}, keepingLog(), metrics);
  try {
    const good = await insertWorkflow(api.db.owner, { nodes: [{ id: 'a', type: 'input' }, { id: 'b', type: 'transform', metadata: { values: { x: '1' } } }], edges: [{ from: 'a', to: 'b' }], start_node: 'a' });
    const bad = await insertWorkflow(api.db.owner, { nodes: [{ id: 'a', type: 'input', metadata: { validation: { required: true } } }], edges: [], start_node: 'a' });
    await untilOver(api.db, await insertExecution(api.db.owner, good, { user_input: 'x' }));
    await untilOver(api.db, await insertExecution(api.db.owner, bad, {}));
    const text = await metrics.text();
    expect(valueOf(text, 'agentflow_executions_ended_total{kind="workflow",status="completed"}')).toBe(1);
    expect(valueOf(text, 'agentflow_executions_ended_total{kind="workflow",status="failed"}')).toBe(1);
    expect(valueOf(text, 'agentflow_nodes_finished_total{type="transform",status="completed"}')).toBe(1);
    expect(valueOf(text, 'agentflow_nodes_finished_total{type="input",status="failed"}')).toBe(1);
    expect(valueOf(text, 'agentflow_batch_size_count{lane="finish"}')).toBe(2);
  } finally {
    await worker.close(5_000);
    await api.server.close(1_000);
    await api.db.drop();
  }
});

test('without a token, where the face is closed: nobody, for a proxy on this machine need not say that it is one', async () => {
  const api = await startApi({ face: { isClosed: true } });
  try {
    expect(await read(api.url)).toMatchObject({ status: 401, text: expect.stringContaining('METRICS_TOKEN') });
  } finally {
    await api.server.close(1_000);
    await api.db.drop();
  }
});

test('labels are written so that nothing breaks out of them', async () => {
  const metrics = new Metrics();
  metrics.counter('a_total', 'A.').add({ word: 'x"} 1\n\\' });
  expect(await metrics.text()).toBe('# HELP a_total A.\n# TYPE a_total counter\na_total{word="x\\"} 1\\n\\\\"} 1\n');
});
