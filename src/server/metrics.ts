/** `GET /metrics` for Prometheus: what this process has done, and what the database knows of all of them. For operators only, see `metricsHandler`. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { RequestHandler } from 'express';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { addProcessMetrics, type Metrics, metricsType, one } from '../metrics.ts';
import type { Log } from './errors.ts';
import { refusalOf } from './http-errors.ts';
import { closeHttp, listen, urlOf } from './lifecycle.ts';
import { createServer } from './node-http.ts';
import type { OperatingFigures } from '../store/operating-figures.ts';

/** With a token: whoever has it. Without one: who asks from this machine, and not through a proxy on it; nobody where the face is closed, for a proxy need not say that it is one. */
export interface Readers {
  token: string | null;
  isClosed: boolean;
}

/** Throws UNAUTHENTICATED. */
export function metricsHandler(metrics: Metrics, readers: Readers): RequestHandler {
  return async (request, response) => {
    demandReader(request, readers);
    response.set({ 'content-type': metricsType, 'cache-control': 'no-store' }).send(await metrics.text());
  };
}

/** For a process without the API: nothing but GET /metrics. Throws PORT_IN_USE. */
export async function serveMetrics(metrics: Metrics, { host, port, readers, log }: { host: string; port: number; readers: Readers; log: Log }): Promise<{ url: string; close(graceMs: number): Promise<void> }> {
  addProcessMetrics(metrics);
  const answer = async (request: IncomingMessage): Promise<string> => {
    if (request.method !== 'GET' || request.url !== '/metrics') throw new AgentFlowError('NOT_FOUND', 'There is nothing at this address.', { remedy: 'GET /metrics.' });
    demandReader(request, readers);
    return await metrics.text();
  };
  const server = createServer((request, response) => {
    answer(request).then((text) => response.writeHead(200, { 'content-type': metricsType, 'cache-control': 'no-store' }).end(text), (error: unknown) => {
      const { statusCode, headers, json } = refusalOf(error, (unexpected) => log.error({ err: unexpected }, 'Metrics could not be told'), undefined);
      response.writeHead(statusCode, headers).end(JSON.stringify(json));
    });
  });
  await listen(server, host, port);
  return { url: `${urlOf(server, host)}/metrics`, close: (graceMs) => closeHttp(server, graceMs) };
}

function demandReader(request: IncomingMessage, readers: Readers): void {
  if (mayRead(request, readers)) return;
  const remedy = readers.token === null ? 'Set METRICS_TOKEN (on a developer\'s installation: or ask from the machine of the server itself).' : 'Send it as Authorization: Bearer.';
  throw new AgentFlowError('UNAUTHENTICATED', 'Metrics are told to who has METRICS_TOKEN.', { remedy });
}

function mayRead({ headers, socket }: IncomingMessage, { token, isClosed }: Readers): boolean {
  if (token !== null) return isSame(headers.authorization ?? '', `Bearer ${token}`);
  if (isClosed) return false;
  const isForwarded = ['forwarded', 'via', 'x-forwarded-for', 'x-real-ip'].some((name) => headers[name] !== undefined);
  return !isForwarded && /^(::1|(::ffff:)?127\.)/.test(socket.remoteAddress ?? '');
}

/** In a time that does not depend on where they differ. */
function isSame(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const routes = new Set(['graphql', 'graphiql', 'artifacts', 'healthz', 'readyz', 'metrics', 'schemas']);

/** Counts what is answered over HTTP. */
export function countRequests(metrics: Metrics, server: Server): void {
  const requests = metrics.counter('agentflow_http_requests_total', 'Requests answered, by route, method and status code.');
  const durations = metrics.histogram('agentflow_http_request_duration_seconds', 'Time from a request to the end of its answer, by route.', seconds);
  server.on('request', (request: IncomingMessage, response) => {
    const startedMs = performance.now();
    response.on('finish', () => {
      const [, first = ''] = /^\/([a-z]*)/.exec(request.url ?? '') ?? [];
      const route = routes.has(first) ? `/${first}` : 'other';
      requests.add({ route, method: methodOf(request), code: String(response.statusCode) });
      durations.observe({ route }, (performance.now() - startedMs) / 1_000);
    });
  });
}

/** Clients may send any word. */
function methodOf({ method }: IncomingMessage): string {
  return method !== undefined && ['GET', 'POST', 'HEAD', 'OPTIONS'].includes(method) ? method : 'other';
}

export function addPoolMetrics(metrics: Metrics, pools: Readonly<Record<string, pg.Pool>>): void {
  metrics.gauge('agentflow_database_connections', 'Connections of the API to PostgreSQL, by pool and state.', () => Object.entries(pools).flatMap(([pool, { totalCount, idleCount }]) => [
    { labels: { pool, state: 'idle' }, value: idleCount }, { labels: { pool, state: 'used' }, value: totalCount - idleCount },
  ]));
  metrics.gauge('agentflow_database_waiting_requests', 'Who waits for a connection, by pool.', () => Object.entries(pools).map(([pool, { waitingCount }]) => ({ labels: { pool }, value: waitingCount })));
}

const told: readonly (readonly [figure: string, name: string, help: string])[] = [
  ['jobs_due', 'agentflow_jobs_due', 'Jobs that wait for a worker; counted up to 100,000.'],
  ['oldest_job_seconds', 'agentflow_oldest_job_seconds', 'How long the oldest of them has been due.'],
  ['executions_driven', 'agentflow_executions_driven', 'Executions that workers drive.'],
  ['executions_waiting', 'agentflow_executions_waiting', 'Executions that have begun and wait, without a worker.'],
  ['workers', 'agentflow_workers', 'Worker processes.'],
  ['oldest_heartbeat_seconds', 'agentflow_oldest_heartbeat_seconds', 'How long ago the worker that was heard of least lately has said that it lives.'],
  ['long_queues', 'agentflow_long_queues', 'Tenants of which more waits than is taken at once.'],
  ['cron_seconds', 'agentflow_cron_seconds', 'Since the least recent of the scheduled jobs ran, or became known.'],
];

export function addDatabaseMetrics(metrics: Metrics, figures: () => Promise<OperatingFigures | null>): void {
  metrics.gauge('agentflow_database_up', 'Does the database answer?', async () => one(await figures() === null ? 0 : 1));
  for (const [figure, name, help] of told) {
    metrics.gauge(name, help, async () => {
      const value = (await figures())?.get(figure);
      return value === undefined ? [] : one(value);
    });
  }
}
