import { Command, InvalidArgumentError } from 'commander';
import { attachEmbedded } from '../embedded/index.ts';
import { AgentFlowError } from '../errors.ts';
import { createApiKey, hashApiKey } from '../keys.ts';
import { rotateApiKey, storeApiKey, type StoredKey } from '../store/access.ts';
import { findUser, listKeys, revokeKey } from '../store/people.ts';
import { readingClient } from '../store/reading.ts';
import { actAs, actingOptions, type ActingOptions } from './acting.ts';
import { action, type Context } from './context.ts';
import { parseId } from './ids.ts';
import { table } from './table.ts';
import { parseTime } from './times.ts';

export function keyCommands(): Command {
  return new Command('key')
    .description('API keys of a tenant, as an admin of it manages them.')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(rotateCommand())
    .addCommand(revokeCommand());
}

interface CreateOptions extends ActingOptions {
  permissions: object;
  expires?: string;
  test?: boolean;
  for?: string;
}

function createCommand(): Command {
  return actingOptions(new Command('create'))
    .argument('<name>', 'what the key is for')
    .requiredOption('--permissions <json>', 'e.g. {"workflows": ["read", "execute"], "executions": ["read"]}', parsePermissions)
    .option('--for <email>', 'the user for whom it acts (default: who makes it)')
    .option('--expires <time>', 'when it ends, e.g. 2030-01-31 (default: never)', parseTime)
    .option('--test', 'a key that begins with sk_test_')
    .description('Make an API key and print it, this once.')
    .action(action<CreateOptions>((context, options, name) => actAs(context, options, async ({ transaction }) => {
      const { key, stored } = newKey(context, options.test ? 'test' : 'live');
      const id = await transaction(async (client) => storeApiKey(readingClient(client), {
        name, permissions: options.permissions, expiresAt: options.expires ?? null, userId: options.for === undefined ? null : (await findUser(client, options.for)).id,
      }, stored));
      context.answer({ id, name, key }, key);
    })));
}

function parsePermissions(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new InvalidArgumentError('a JSON object is expected.');
}

/** Throws CONFIG_INVALID when the key that keys are hashed under is not known here. */
function newKey({ config }: Context, mode: 'live' | 'test'): { key: string; stored: StoredKey } {
  const secretKey = config.secretKey ?? attachEmbedded(config.dataDir)?.secrets.secretKey;
  if (secretKey === undefined) throw new AgentFlowError('CONFIG_INVALID', 'API keys are hashed under AGENTFLOW_SECRET_KEY, which is not set.', { remedy: 'Set it as for the server.' });
  const { key, prefix } = createApiKey(mode);
  return { key, stored: { hash: hashApiKey(key, secretKey), prefix } };
}

function listCommand(): Command {
  return actingOptions(new Command('list'))
    .description('The API keys of a tenant, by their first characters.')
    .action(action<ActingOptions>((context, options) => actAs(context, options, async ({ transaction }) => {
      const rows = await transaction(listKeys);
      context.answer(rows, table(['key', 'name', 'user', 'status', 'expires', 'id'], rows.map(({ prefix, name, user, status, expiresAt, id }) =>
        [prefix === null ? '' : `${prefix}…`, name, user, status, expiresAt?.toISOString().slice(0, 10) ?? 'never', id])));
    })));
}

interface RotateOptions extends ActingOptions {
  overlap: number;
}

function rotateCommand(): Command {
  return actingOptions(new Command('rotate'))
    .argument('<id>', 'id of the key', parseId)
    .option('--overlap <seconds>', 'how long the old key works on', wholeSeconds, 86_400)
    .description('Make a key in the place of another and print it, this once.')
    .action(action<RotateOptions>((context, options, id) => actAs(context, options, async ({ transaction }) => {
      const { key, stored } = newKey(context, 'live');
      const next = await transaction((client) => rotateApiKey(readingClient(client), id, options.overlap, stored));
      context.answer({ id: next, key }, key);
    })));
}

function wholeSeconds(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError('a whole number of seconds is expected.');
  return Number(text);
}

interface RevokeOptions extends ActingOptions {
  reason?: string;
}

function revokeCommand(): Command {
  return actingOptions(new Command('revoke'))
    .argument('<id>', 'id of the key', parseId)
    .option('--reason <text>', 'why, for the audit log')
    .description('Revoke an API key: it is refused from the next request on.')
    .action(action<RevokeOptions>((context, options, id) => actAs(context, options, async ({ transaction }) => {
      await transaction((client) => revokeKey(client, id, options.reason ?? null));
      context.answer({ id, status: 'revoked' }, `Key ${id} is revoked.`);
    })));
}
