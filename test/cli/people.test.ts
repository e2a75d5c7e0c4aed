/** Tenants, users and keys from the command line, against a running server: what it prints works there. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runCli, startService, type Service } from '../support/cli.ts';

const dataDir = mkdtempSync(path.join(os.tmpdir(), 'agentflow-people-'));
let service: Service;

beforeAll(async () => {
  service = await startService(['start'], dataDir);
}, 180_000);

afterAll(async () => {
  process.kill(service.info.pid, 'SIGTERM');
  await service.finished;
  rmSync(dataDir, { recursive: true, force: true });
});

async function cli(...words: string[]): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await runCli([...words, '--json'], { AGENTFLOW_DATA_DIR: dataDir });
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, string>;
}

async function ask(query: string, variables: object = {}, headers: Record<string, string> = {}): Promise<{ data?: Record<string, Record<string, unknown>>; errors?: { extensions: { code: string } }[] }> {
  const response = await fetch(service.info.graphqlUrl, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables }) });
  return await response.json() as never;
}

const redeem = 'mutation ($token: String!, $password: String!) { useAccessLink(input: { token: $token, password: $password }) { jwt user { email role tenant { slug } } } }';
const password = 'five rusty anchors sing';
const tokenIn = (link: string): string => link.split('#')[1]!;

test('a tenant is made, its admin comes in by the link, invites, and is refused while the tenant is suspended', async () => {
  const { link } = await cli('tenant', 'create', 'acme', '--admin', 'Boss@Acme.example');
  expect(link).toMatch(new RegExp(`^${service.info.url}/join#[\\w-]{43}$`));
  const { data } = await ask(redeem, { token: tokenIn(link!), password });
  expect(data!.useAccessLink).toMatchObject({ user: { email: 'boss@acme.example', role: 'ADMIN', tenant: { slug: 'acme' } } });
  const headers = { authorization: `Bearer ${String(data!.useAccessLink!.jwt)}` };
  const { link: second } = await cli('user', 'create', 'second@acme.example', '--tenant', 'acme', '--role', 'operator');
  expect((await ask(redeem, { token: tokenIn(second!), password })).data!.useAccessLink).toMatchObject({ user: { role: 'OPERATOR' } });
  const { link: reset } = await cli('user', 'reset', 'second@acme.example', '--tenant', 'acme');
  expect((await ask(redeem, { token: tokenIn(reset!), password: 'quiet lemons under water' })).errors).toBeUndefined();
  await cli('user', 'disable', 'second@acme.example', '--tenant', 'acme');
  expect(await cli('user', 'list', '--tenant', 'acme')).toMatchObject([{ email: 'boss@acme.example', status: 'active' }, { email: 'second@acme.example', status: 'inactive' }]);
  await cli('tenant', 'disable', 'acme');
  expect((await ask('{ currentUser { email } }', {}, headers)).errors![0]!.extensions.code).toBe('TOKEN_INVALID');
  await expect(cli('user', 'list', '--tenant', 'acme')).rejects.toThrow('There is no active tenant acme.');
  await cli('tenant', 'enable', 'acme');
  expect((await ask('{ currentUser { email } }', {}, headers)).data!.currentUser).toEqual({ email: 'boss@acme.example' });
}, 180_000);

test('a key is made, rotated and revoked', async () => {
  const { key, id } = await cli('key', 'create', 'robot', '--permissions', '{"workflows": ["read"]}', '--for', 'operator@example.com');
  const who = async (apiKey: string): Promise<unknown> => (await ask('{ currentUser { email } }', {}, { 'x-api-key': apiKey })).data?.currentUser;
  expect(await who(key!)).toEqual({ email: 'operator@example.com' });
  await expect(cli('key', 'create', 'robot', '--permissions', '{}', '--expires', 'tomorrow')).rejects.toThrow('a time such as 2026-01-31');
  const { key: next, id: nextId } = await cli('key', 'rotate', id!, '--overlap', '0');
  expect([await who(key!), await who(next!)]).toEqual([undefined, { email: 'operator@example.com' }]);
  await cli('key', 'revoke', nextId!, '--reason', 'done');
  expect(await who(next!)).toBeUndefined();
  expect(JSON.stringify(await cli('key', 'list'))).not.toContain(next);
}, 180_000);

test.each([
  [['tenant', 'create', 'example', '--admin', 'a@b.example'], 1, 'INVALID_VALUE'], [['tenant', 'create', 'Not A Slug', '--admin', 'a@b.example'], 1, 'CHECK_VIOLATION'],
  [['tenant', 'disable', 'nowhere'], 1, 'NOT_FOUND'], [['tenant', 'create', 'new'], 2, 'required option'],
  [['user', 'reset', 'nobody@example.com'], 1, 'NOT_FOUND'], [['user', 'create', 'a@b.example', '--role', 'root'], 2, 'Allowed choices'],
  [['user', 'create', 'a@b.example', '--user', 'jane@example.com'], 1, 'PERMISSION_DENIED'], [['user', 'disable', 'john@example.com'], 1, 'LAST_ADMIN'],
  [['key', 'create', 'k', '--permissions', 'x'], 2, 'JSON object'], [['key', 'revoke', '00000000-0000-4000-8000-000000000000'], 1, 'NOT_FOUND'],
])('%p is refused', async (words, code, said) => {
  const finished = await runCli(words, { AGENTFLOW_DATA_DIR: dataDir });
  expect([finished.code, finished.stderr]).toEqual([code, expect.stringContaining(said)]);
}, 180_000);
