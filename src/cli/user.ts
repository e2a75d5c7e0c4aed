import { Command, Option } from 'commander';
import { createLinkToken, linkPath } from '../keys.ts';
import { createPasswordReset, inviteUser } from '../store/access.ts';
import { findUser, listUsers, setUserStatus } from '../store/people.ts';
import { readingClient } from '../store/reading.ts';
import { actAs, actingOptions, type ActingOptions } from './acting.ts';
import { action } from './context.ts';
import { baseUrl } from './server-file.ts';
import { table } from './table.ts';

export function userCommands(): Command {
  return new Command('user')
    .description('Users of a tenant, as an admin of it manages them.')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(resetCommand())
    .addCommand(statusCommand('disable', 'inactive', 'Disable a user: sessions end, keys are revoked. What the user made stays.'))
    .addCommand(statusCommand('enable', 'active', 'Let a disabled user in again.'));
}

interface CreateOptions extends ActingOptions {
  role: string;
  name?: string;
}

function createCommand(): Command {
  return actingOptions(new Command('create'))
    .argument('<email>', 'address of the person')
    .addOption(new Option('--role <role>', 'what the person may do').choices(['viewer', 'operator', 'developer', 'architect', 'admin']).default('viewer'))
    .option('--name <name>', 'full name')
    .description('Invite somebody: print a one-time link by which the person becomes a user.')
    .action(action<CreateOptions>((context, options, email) => actAs(context, options, async ({ transaction }) => {
      const { token, tokenHash } = createLinkToken();
      const id = await transaction((client) => inviteUser(readingClient(client), { email, name: options.name ?? null, role: options.role }, tokenHash));
      const link = baseUrl(context.config) + linkPath(token);
      context.answer({ id, email, role: options.role, link }, `The link for ${email}, good for a week, once:\n${link}`);
    })));
}

function listCommand(): Command {
  return actingOptions(new Command('list'))
    .description('The users of a tenant.')
    .action(action<ActingOptions>((context, options) => actAs(context, options, async ({ transaction }) => {
      const rows = await transaction(listUsers);
      context.answer(rows, table(['email', 'name', 'role', 'status', 'id'], rows.map(({ email, name, role, status, id }) => [email, name, role, status, id])));
    })));
}

function resetCommand(): Command {
  return actingOptions(new Command('reset'))
    .argument('<email>', 'the user')
    .description('Print a one-time link by which a user who forgot the password chooses a new one.')
    .action(action<ActingOptions>((context, options, email) => actAs(context, options, async ({ transaction }) => {
      const { token, tokenHash } = createLinkToken();
      const id = await transaction(async (client) => createPasswordReset(readingClient(client), (await findUser(client, email)).id, tokenHash));
      const link = baseUrl(context.config) + linkPath(token);
      context.answer({ id, email, link }, `The link for ${email}, good for a day, once:\n${link}`);
    })));
}

function statusCommand(verb: string, status: 'active' | 'inactive', description: string): Command {
  return actingOptions(new Command(verb))
    .argument('<email>', 'the user')
    .description(description)
    .action(action<ActingOptions>((context, options, email) => actAs(context, options, async ({ transaction }) => {
      await transaction(async (client) => setUserStatus(client, (await findUser(client, email)).id, status));
      context.answer({ email, status }, `User ${email} is ${status}.`);
    })));
}
