import { serverAudits } from 'graphql-http';
import { useApi } from '../support/api.ts';

const api = useApi();

describe('the audits of GraphQL over HTTP', () => {
  test.each(serverAudits({ url: () => `${api.url}/graphql`, fetchFn: fetch }))('$name', async (audit) => {
    const result = await audit.fn();
    expect(result.status === 'ok' ? 'ok' : result.reason).toBe('ok');
  });
});
