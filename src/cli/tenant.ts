import { Command } from 'commander';
import { AgentFlowError } from '../errors.ts';
import { createLinkToken, linkPath } from '../keys.ts';
import { createTenant, listTenants, setTenantStatus } from '../store/tenants.ts';
import { asOwner } from './acting.ts';
import { action, type Context } from './context.ts';
import { baseUrl } from './server-file.ts';
import { table } from './table.ts';

export function tenantCommands(): Command {
  return new Command('tenant')
    .description('Tenants of this installation. These commands work on the owner\'s login.')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(statusCommand('disable', 'suspended', 'Suspend a tenant: everybody and every key of it is refused from the next request on; nothing is lost.'))
    .addCommand(statusCommand('enable', 'active', 'Let a suspended tenant in again.'));
}

interface CreateOptions {
  admin: string;
  name?: string;
}

function createCommand(): Command {
  return new Command('create')
    .argument('<slug>', 'short name: small letters, digits, hyphens')
    .requiredOption('--admin <email>', 'address of the first admin')
    .option('--name <name>', 'full name (default: the slug)')
    .description('Create a tenant, and print a one-time link by which its first admin chooses a password.')
    .action(action<CreateOptions>(async (context, { admin, name }, slug) => {
      const { token, tokenHash } = createLinkToken();
      const id = await asOwner(context, (client) => createTenant(client, { slug, name: name ?? null, adminEmail: admin }, tokenHash));
      const link = baseUrl(context.config) + linkPath(token);
      context.answer({ id, slug, admin, link }, `Tenant ${slug} (${id}). The link for ${admin}, good for a week, once:\n${link}`);
    }));
}

function listCommand(): Command {
  return new Command('list')
    .description('All tenants.')
    .action(action(async (context) => {
      const rows = await asOwner(context, listTenants);
      context.answer(rows, table(['slug', 'name', 'status', 'users', 'id'], rows.map(({ slug, name, status, users, id }) => [slug, name, status, String(users), id])));
    }));
}

function statusCommand(verb: string, status: 'active' | 'suspended', description: string): Command {
  return new Command(verb)
    .argument('<slug>', 'the tenant')
    .description(description)
    .action(action((context: Context, _options: object, slug: string) => asOwner(context, async (client) => {
      if (!await setTenantStatus(client, slug, status)) throw new AgentFlowError('NOT_FOUND', `There is no tenant ${slug}.`, { remedy: 'See: agentflow tenant list' });
      context.answer({ slug, status }, `Tenant ${slug} is ${status}.`);
    })));
}
