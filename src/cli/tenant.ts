import { Command } from 'commander';
import { AgentFlowError } from '../errors.ts';
import { createLinkToken, linkPath } from '../keys.ts';
import { createTenant, eraseTenant, listTenants, quotaNames, setQuotas, setTenantStatus } from '../store/tenants.ts';
import { asOwner } from './acting.ts';
import { action, type Context } from './context.ts';
import { baseUrl } from './server-file.ts';
import { table } from './table.ts';
import { exportTenant } from './tenant-export.ts';

export function tenantCommands(): Command {
  return new Command('tenant')
    .description('Tenants of this installation. These commands work on the owner\'s login.')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(statusCommand('disable', 'suspended', 'Suspend a tenant: everybody and every key of it is refused from the next request on, what runs is parked; nothing is lost.').alias('suspend'))
    .addCommand(statusCommand('enable', 'active', 'Let a suspended tenant in again; what was parked goes on.').alias('resume'))
    .addCommand(quotaCommand())
    .addCommand(exportCommand())
    .addCommand(eraseCommand());
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

const unknownTenant = (slug: string): AgentFlowError => new AgentFlowError('NOT_FOUND', `There is no tenant ${slug}.`, { remedy: 'See: agentflow tenant list' });

function quotaCommand(): Command {
  return new Command('quota')
    .argument('<slug>', 'the tenant')
    .argument('[quota...]', 'name=number, or name= to take one out: executions_per_day, concurrent_executions, storage_bytes, tokens_per_month, cost_per_month (US dollars), max_nodes ...')
    .description('Show or set what a tenant may use.')
    .action(action((context, _options: object, slug: string, ...texts: string[]) => asOwner(context, async (client) => {
      const quotas = await setQuotas(client, slug, Object.fromEntries(texts.flat().map(parseQuota)));
      if (quotas === null) throw unknownTenant(slug);
      context.answer({ slug, quotas }, table(['quota', 'at most'], Object.entries(quotas).map(([name, most]) => [name, String(most)])));
    })));
}

function parseQuota(text: string): [name: string, most: number | null] {
  const [, name, value] = /^([a-z_]+)=(\d+(?:\.\d+)?)?$/.exec(text) ?? [];
  if (name === undefined) throw new AgentFlowError('USAGE', `${text} is not of the form name=number.`, { remedy: 'For example: executions_per_day=1000' });
  if (!quotaNames.includes(name)) throw new AgentFlowError('USAGE', `There is no quota ${name}.`, { remedy: `There are ${quotaNames.join(', ')}.` });
  return [name, value === undefined ? null : Number(value)];
}

function exportCommand(): Command {
  return new Command('export')
    .argument('<slug>', 'the tenant')
    .option('--out <file>', 'write into this new file (default: <slug>.tar.gz)')
    .description('Write everything that a tenant has into one archive: JSON lines by table, and a manifest. Hashes and sealed secrets are left out.')
    .action(action<{ out?: string }>((context, { out }, slug) => asOwner(context, async (client) => {
      const summary = await exportTenant(client, slug, out ?? `${slug}.tar.gz`);
      context.answer(summary, `${summary.rows} rows of ${Object.keys(summary.tables).length} tables are in ${summary.file}.`);
    })));
}

function eraseCommand(): Command {
  return new Command('erase')
    .argument('<slug>', 'the tenant, which must be suspended')
    .requiredOption('--reason <text>', 'why; the certificate keeps it')
    .requiredOption('--confirm <slug>', 'the slug once more: nothing brings the tenant back')
    .description('Erase a tenant with everything that it has, its audit log included, and print the certificate of what there was.')
    .action(action<{ reason: string; confirm: string }>((context, { reason, confirm }, slug) => asOwner(context, async (client) => {
      if (confirm !== slug) throw new AgentFlowError('USAGE', `--confirm says ${confirm}, and the tenant is ${slug}.`, { remedy: 'Repeat the slug of the tenant that shall be erased.' });
      const certificate = await eraseTenant(client, slug, reason);
      const counts = Object.entries(certificate.row_counts).map(([name, count]) => [name, String(count)]);
      context.answer(certificate, `Tenant ${slug} is erased. Certificate ${certificate.id}:\n${table(['table', 'rows'], counts)}`);
    })));
}
