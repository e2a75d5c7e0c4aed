/** An API beside the workers, asked all the time: while PostgreSQL is away it answers 503, and soon after it is back it answers again. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import pino from 'pino';
import type { OwnCluster } from '../../bench/support/own-cluster.ts';
import { loadWorkflowTools } from '../../src/cli/workflow-tools.ts';
import { signToken } from '../../src/server/tokens.ts';
import { openSession } from '../../src/store/identity.ts';
import { sampleUser } from '../support/executions.ts';

const askEveryMs = 50;
const mostSeconds = 5;
const databaseSeconds = 90;

export interface ApiWatch {
  /** Longest time from PostgreSQL's first answer to the API's, seconds; and what was wrong. */
  close(): Promise<{ backSeconds: number; problems: string[] }>;
}

export async function watchApi(cluster: OwnCluster): Promise<ApiWatch> {
  // Libraries look at it when they are loaded.
  process.env['GRAPHILE_ENV'] ??= 'production';
  const { startServer } = await import('../../src/server/index.ts');
  const server = await startServer({
    config: { host: '127.0.0.1', port: 0, jwtSecret: cluster.secrets.jwtSecret, secretKey: cluster.secrets.secretKey, environment: 'production' },
    authenticatorUrl: cluster.url('agentflow_authenticator'), workflowTools: loadWorkflowTools, log: pino({ level: 'silent' }),
  });
  const token = await sessionToken(cluster);
  const statuses = new Map<number, number>();
  let databaseUpAtMs: number | null = performance.now();
  let apiUpAtMs: number | null = performance.now();
  let backSeconds = 0;
  let lastFault = 'it was not asked';
  let isClosing = false;

  const askDatabase = async (): Promise<void> => {
    const isUp = await answers(cluster.url('agentflow_owner'));
    if (!isUp) databaseUpAtMs = apiUpAtMs = null;
    else databaseUpAtMs ??= performance.now();
  };
  const askApi = async (): Promise<void> => {
    lastFault = 'it was asked and said nothing';
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: '{"query":"{ currentUser { id } }"}' });
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    const { errors } = await response.json() as { errors?: unknown[] };
    if (response.status !== 200 || errors !== undefined) {
      lastFault = `${response.status} ${JSON.stringify(errors)}`;
      return;
    }
    lastFault = 'a good answer';
    if (databaseUpAtMs === null || apiUpAtMs !== null) return;
    apiUpAtMs = performance.now();
    backSeconds = Math.max(backSeconds, (apiUpAtMs - databaseUpAtMs) / 1_000);
  };
  const loop = async (ask: () => Promise<void>): Promise<void> => {
    while (!isClosing) {
      await ask();
      await sleep(askEveryMs);
    }
  };
  const loops = Promise.all([loop(askDatabase), loop(askApi)]);

  return {
    async close() {
      const until = async (isUp: () => boolean, seconds: number): Promise<void> => {
        const deadline = performance.now() + seconds * 1_000;
        while (!isUp() && performance.now() < deadline) await sleep(askEveryMs);
      };
      await until(() => databaseUpAtMs !== null, databaseSeconds);
      await until(() => apiUpAtMs !== null, mostSeconds * 2);
      // The last strike may be noticed only now, while the loops end: what it does is not waited for, and not judged.
      const isBack = apiUpAtMs !== null;
      isClosing = true;
      await loops;
      await server.close(1_000);
      const strange = [...statuses].filter(([status]) => status !== 200 && status !== 503).map(([status, count]) => `the API answered ${status} ${count} times`);
      const late = !isBack ? [`the API did not answer again; the last of it: ${lastFault}`] : backSeconds > mostSeconds ? [`the API answered again only ${backSeconds.toFixed(1)} s after PostgreSQL`] : [];
      return { backSeconds: Number(backSeconds.toFixed(1)), problems: [...strange, ...late] };
    },
  };
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000, query_timeout: 2_000 });
  client.on('error', () => undefined); // it ends while it is asked, on purpose
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function sessionToken(cluster: OwnCluster): Promise<string> {
  const db = new pg.Pool({ connectionString: cluster.url('agentflow_authenticator'), max: 1, pipeline: true });
  try {
    const { session_id: sessionId, tenant_id: tenantId, role, expires_at: expiresAt } = (await openSession(db, sampleUser, '12 hours', { requestId: 'chaos', ip: null, userAgent: null }))!;
    return await signToken({ userId: sampleUser, tenantId, role, sessionId, expiresAt }, cluster.secrets.jwtSecret);
  } finally {
    await db.end();
  }
}
