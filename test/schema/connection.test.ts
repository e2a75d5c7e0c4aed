import { actingAs, withClient, withoutWaiting } from '../../src/schema/connection.ts';
import { useTestDatabase } from '../support/database.ts';

describe('a connection string', () => {
  const db = useTestDatabase();
  const seenBy = async (url: string): Promise<unknown> =>
    withClient(url, async (client) => (await client.query(`select current_user::text as name, current_setting('synchronous_commit') as waits`)).rows[0]);

  test('says who acts and whether the disk is waited for, each beside the other', async () => {
    const url = `${db.url('agentflow_authenticator')}?options=${encodeURIComponent('-c synchronous_commit=on')}`;
    expect(await seenBy(url)).toEqual({ name: 'agentflow_authenticator', waits: 'on' });
    expect(await seenBy(actingAs(url, 'agentflow_user'))).toEqual({ name: 'agentflow_user', waits: 'on' });
    expect(await seenBy(withoutWaiting(url))).toEqual({ name: 'agentflow_authenticator', waits: 'off' });
    expect(await seenBy(actingAs(withoutWaiting(url), 'agentflow_user'))).toEqual({ name: 'agentflow_user', waits: 'off' });
  });
});
