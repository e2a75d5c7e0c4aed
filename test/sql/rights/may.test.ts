/** The permission matrix of roles and API keys, every cell. */
import { rolesOfUsers, type RoleOfUser } from '../support/plant.ts';
import { become, leave } from '../support/probe.ts';
import { useOwnerTransaction } from '../support/transaction.ts';

const context = useOwnerTransaction();

/** Right: least role, and what a key needs in the area (null: no key can have it). */
const rights: Record<string, [RoleOfUser, string[] | null]> = {
  'workflows:read': ['viewer', ['read']],
  'workflows:execute': ['operator', ['execute']],
  'workflows:write': ['developer', ['write']],
  'workflows:test': ['developer', ['write', 'execute']],
  'workflows:publish': ['architect', ['write']],
  'flows:read': ['viewer', ['read']],
  'flows:execute': ['operator', ['execute']],
  'flows:write': ['developer', ['write']],
  'flows:test': ['developer', ['write', 'execute']],
  'flows:publish': ['architect', ['write']],
  'executions:read': ['viewer', ['read']],
  'executions:execute': ['operator', ['execute']],
  'executions:restore': ['architect', ['write']],
  'sources:read': ['viewer', ['read']],
  'sources:write': ['architect', ['write']],
  admin: ['admin', null],
};
const areas = ['workflows', 'flows', 'executions', 'sources'];
const verbs = ['read', 'write', 'execute'];
const verbSets = Array.from({ length: 8 }, (_, bits) => verbs.filter((_verb, index) => (bits >> index) & 1));

const rank = (role: string): number => rolesOfUsers.indexOf(role as RoleOfUser);
const claims = { tenant_id: '00000000-0000-4000-8000-000000000001', user_id: '00000000-0000-4000-8000-000000000002' };
const apiKeyId = '00000000-0000-4000-8000-000000000003';

/** The rights that these claims have. */
async function grantedTo(more: Record<string, string>): Promise<string[]> {
  await become(context.client, 'agentflow_user', { ...claims, ...more });
  const { rows } = await context.client.query<{ wanted: string }>(
    'select wanted from unnest($1::text[]) as wanted where app_private.may(wanted) order by wanted', [[...Object.keys(rights), 'workflows:delete', 'nonsense', '']]);
  await leave(context.client);
  return rows.map(({ wanted }) => wanted);
}

test.each(rolesOfUsers)('%s has exactly the rights of its rank', async (role) => {
  const expected = Object.keys(rights).filter((right) => rank(rights[right]![0]) <= rank(role)).sort();
  expect((await grantedTo({ role })).sort()).toEqual(expected);
});

test.each(['', 'owner', 'ADMIN', 'admin '])('%p is no role and has no right', async (role) => {
  expect(await grantedTo({ role })).toEqual([]);
});

test.each(rolesOfUsers)('a key of %s has what both the role and its permissions grant', async (role) => {
  for (const area of areas) {
    for (const permitted of verbSets) {
      const expected = Object.entries(rights)
        .filter(([right, [least, needed]]) => rank(least) <= rank(role) && right.startsWith(`${area}:`) && needed!.every((verb) => permitted.includes(verb)))
        .map(([right]) => right).sort();
      const granted = await grantedTo({ role, api_key_id: apiKeyId, permissions: JSON.stringify({ [area]: permitted }) });
      expect({ area, permitted, granted: granted.sort() }).toEqual({ area, permitted, granted: expected });
    }
  }
});

test('a key with every permission never has the right of an admin', async () => {
  const everything = Object.fromEntries(areas.map((area) => [area, verbs]));
  const granted = await grantedTo({ role: 'admin', api_key_id: apiKeyId, permissions: JSON.stringify(everything) });
  expect(granted.sort()).toEqual(Object.keys(rights).filter((right) => right !== 'admin').sort());
});

test.each([
  ['none', undefined], ['empty', ''], ['null', 'null'], ['a list', '["read"]'], ['broken JSON', '{"workflows": ["read",]}'], ['a text for a list', '{"workflows": "read"}'],
  ['nested', '{"workflows": {"read": ["read"]}}'], ['an unknown area', '{"everything": ["read", "write", "execute"]}'],
])('a key with %s as permissions has no right, and that is no error', async (_what, permissions) => {
  expect(await grantedTo({ role: 'admin', api_key_id: apiKeyId, ...(permissions === undefined ? {} : { permissions }) })).toEqual([]);
});

test('a malformed key id still narrows the role', async () => {
  expect(await grantedTo({ role: 'admin', api_key_id: 'x' })).toEqual([]);
});

test('permissions as jsonb prints them are read', async () => {
  const granted = await grantedTo({ role: 'viewer', api_key_id: apiKeyId, permissions: ' { "flows" : [ "read" , "write" ] , "sources": ["read"], "executions": [] } ' });
  expect(granted.sort()).toEqual(['flows:read', 'sources:read']);
});

describe('who acts', () => {
  const one = '0123abcd-4567-89ef-0123-456789abcdef';
  const said = async (text: string): Promise<Record<string, string | null>> => {
    await become(context.client, 'agentflow_user', { tenant_id: text, user_id: text, api_key_id: text, role: 'admin', permissions: '{"workflows": ["read"]}' });
    const { rows } = await context.client.query<Record<string, string | null>>(
      `select app_public.current_tenant_id() as tenant, app_public.current_user_id() as user, app_private.current_api_key_id() as key, app_private.tenant_if_may('workflows:read') as reader`);
    await leave(context.client);
    return rows[0]!;
  };

  test.each([one, one.toUpperCase()])('%s is read', async (text) => {
    expect(await said(text)).toEqual({ tenant: one, user: one, key: one, reader: one });
  });

  test.each([
    '', 'x', 'xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx', one.replace('a', 'x'), one.replace('a', 'X'), one.replace('a', 'g'), one.replaceAll('-', ''), `{${one}}`, `${one} `, ` ${one}`, `${one}\n`, `${one}0`, one.slice(1),
    '0123abcd4-567-89ef-0123-456789abcdef', '-'.repeat(36), one.replace('0', '\u0660'), `${one}x`, `x${one}`, `${one}' or true --`,
  ])('%j is nobody, and no error', async (text) => {
    expect(await said(text)).toEqual({ tenant: null, user: null, key: null, reader: null });
  });

  test('policies know the tenant of who has the right, and of nobody else', async () => {
    for (const role of ['', ...rolesOfUsers]) {
      await become(context.client, 'agentflow_user', { ...claims, role });
      const { rows } = await context.client.query('select wanted from unnest($1::text[]) as wanted where (app_private.tenant_if_may(wanted) = $2) is distinct from nullif(app_private.may(wanted), false) or app_private.may(wanted) <> app_private.may_restore(wanted)', [[...Object.keys(rights), 'nonsense'], claims.tenant_id]);
      await leave(context.client);
      expect(rows).toEqual([]);
    }
  });
});

describe('demand', () => {
  const refusal = async (wanted: string, more: Record<string, string>): Promise<{ code?: string; message?: string; hint?: string }> => {
    await become(context.client, 'agentflow_user', more);
    return context.client.query('select app_private.demand($1)', [wanted]).then(() => ({}), (error: { code: string; message: string; hint: string }) => error);
  };

  test('lets pass who has the right', async () => {
    expect(await refusal('sources:write', { ...claims, role: 'architect' })).toEqual({});
  });
  test('names the right and the least role', async () => {
    expect(await refusal('sources:write', { ...claims, role: 'developer' }))
      .toMatchObject({ code: 'AF403', message: 'This needs the right sources:write: role architect or higher.' });
  });
  test('names what a key lacks', async () => {
    expect(await refusal('workflows:test', { ...claims, role: 'admin', api_key_id: apiKeyId, permissions: '{"workflows": ["write"]}' }))
      .toMatchObject({ code: 'AF403', message: 'This needs the right workflows:test: role developer or higher, and an API key with workflows: write, execute.' });
  });
  test('says that a key cannot', async () => {
    expect(await refusal('admin', { ...claims, role: 'admin', api_key_id: apiKeyId }))
      .toMatchObject({ code: 'AF403', message: 'This needs the right admin: role admin or higher, and cannot be done by an API key.' });
  });
  test.each([['no tenant', { user_id: claims.user_id, role: 'admin' }], ['no user', { tenant_id: claims.tenant_id, role: 'admin' }], ['a malformed tenant', { ...claims, tenant_id: 'x', role: 'admin' }]])(
    'asks for an identity with %s', async (_what, more) => {
      expect(await refusal('workflows:read', more as Record<string, string>)).toMatchObject({ code: 'AF401', hint: 'Call authenticate, or send a valid X-API-Key.' });
    });
  test('refuses a right that does not exist', async () => {
    expect(await refusal('workflows:fly', { ...claims, role: 'admin' })).toMatchObject({ code: 'XX000', message: 'Right workflows:fly is not known' });
  });
});
