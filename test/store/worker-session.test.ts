/** The session by which a worker lives and listens. */
import { randomUUID } from 'node:crypto';
import { withClient } from '../../src/schema/connection.ts';
import { WorkerSession } from '../../src/store/worker-session.ts';
import { useTestDatabase } from '../support/database.ts';

const database = useTestDatabase();
const log = { info: () => undefined, warn: () => undefined };

test('what was told while nobody listened is asked for when the session is back', async () => {
  const driven = { executionId: randomUUID(), attempt: 1, createdAt: '2026-01-01T00:00:00Z' };
  const asked = Promise.withResolvers<string[]>();
  const session = new WorkerSession({
    connectionString: database.url('agentflow_worker'), log, jobWorkerIds: () => [], flowTasks: () => ({ names: [], testPattern: null }),
    driven: () => [driven], onLost: () => undefined, onChanged: asked.resolve, isOwn: () => true,
  });
  await session.start();
  await withClient(database.url('postgres'), (client) =>
    client.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'agentflow worker' and datname = current_database()`));
  expect(await asked.promise).toEqual([driven.executionId]);
  await session.close();
});
