import { serverAudits } from 'graphql-http';
import { useApi } from '../support/api.ts';

const api = useApi();

describe('the audits of GraphQL over HTTP', () => {
  // What a server MAY do beside is GET, which this one refuses.
  const binding = serverAudits({ url: () => `${api.url}/graphql`, fetchFn: fetch }).filter(({ name }) => !name.startsWith('MAY'));
  test.each(binding)('$name', async (audit) => {
    const result = await audit.fn();
    expect(result.status === 'ok' ? 'ok' : result.reason).toBe('ok');
  });
});
