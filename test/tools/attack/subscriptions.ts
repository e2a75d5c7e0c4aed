/** Executions of one tenant, watched by another: refused, and not one event. */
import { openClient, watch } from '../../support/subscriptions.ts';
import { type Attack, Counter } from './target.ts';

const updated = 'subscription ($id: UUID!) { executionUpdated(id: $id) { execution { id status } } }';
const tenantA = '123e4567-e89b-12d3-a456-426614174000';

export const subscriptions: Attack = {
  name: 'subscriptions',
  async run({ api }, scale) {
    const count = scale === 'long' ? 500 : 30;
    const counter = new Counter('events', 'not refused', 'own events missed');
    const { rows } = await api.db.owner.query<{ id: string }>(
      `insert into executions (tenant_id, user_id, workflow_id, initial_state)
       select '${tenantA}', '550e8400-e29b-41d4-a716-446655440000', '660e8400-e29b-41d4-a716-446655440000', '{}' from generate_series(1, $1::int) returning id`, [count]);
    const change = (): Promise<unknown> => api.db.owner.query('select app_private.notify_executions(array_agg(tenant_id), array_agg(id)) from executions where id = any ($1)', [rows.map(({ id }) => id)]);
    const own = openClient(api.url, await api.headersOf('jane'));
    const ownWatch = watch(own, updated, { id: rows[0]!.id });
    await ownWatch.next();
    for (let start = 0; start < rows.length; start += 40) {
      const foreign = openClient(api.url, await api.headersOf('admin@globex.example'));
      const watching = rows.slice(start, start + 40).map(({ id }) => watch(foreign, updated, { id }));
      for (const one of watching) {
        const first = await one.next();
        if (first?.errors?.[0]?.extensions?.code !== 'NOT_FOUND') counter.add('not refused', JSON.stringify(first));
      }
      await change();
      for (const one of watching) {
        const event = await one.next();
        if (event !== null) counter.add('events', JSON.stringify(event));
      }
      await foreign.client.dispose();
    }
    if ((await ownWatch.next())?.data?.executionUpdated?.execution?.id !== rows[0]!.id) counter.add('own events missed', rows[0]!.id);
    await own.client.dispose();
    return { attack: "another tenant's subscriptions", tried: count, bad: counter.counts, note: Object.values(counter.examples).join(' | ') };
  },
};
