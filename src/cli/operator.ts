import { Command, InvalidArgumentError } from 'commander';
import { endOperatorGrant, listOperatorGrants, openOperatorGrant } from '../store/operators.ts';
import { asOwner } from './acting.ts';
import { action } from './context.ts';
import { parseId } from './ids.ts';
import { table } from './table.ts';

export function operatorCommands(): Command {
  return new Command('operator')
    .description('The people of the platform: which database login may look into which tenant, why, and until when. These commands work on the owner\'s login.')
    .addCommand(grantCommand())
    .addCommand(listCommand())
    .addCommand(endCommand());
}

interface GrantOptions {
  to: string;
  reason: string;
  for: string;
  act?: boolean;
}

function grantCommand(): Command {
  return new Command('grant')
    .argument('<slug>', 'the tenant')
    .requiredOption('--to <login>', 'a database login that belongs to agentflow_operator')
    .requiredOption('--reason <text>', 'why; the tenant\'s admins read it')
    .option('--for <time>', 'how long: 30m, 8h, 2d; at most 30d', parseDuration, '1 hour')
    .option('--act', 'may also suspend the tenant, let it in again, and cancel executions')
    .description('Let a login look into a tenant.')
    .action(action<GrantOptions>((context, { to, reason, for: lasts, act = false }, slug) => asOwner(context, async (client) => {
      const opened = await openOperatorGrant(client, { slug, operator: to, reason, lasts, mayAct: act });
      context.answer({ ...opened, slug }, `${to} may look into ${slug}${act ? ', and act there,' : ''} until ${opened.expires_at.toISOString()} (grant ${opened.id}).`);
    })));
}

function parseDuration(text: string): string {
  const [, count, unit] = /^(\d{1,5})(m|h|d)$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('a time such as 30m, 8h or 2d is expected.');
  return `${count} ${{ m: 'minutes', h: 'hours', d: 'days' }[unit as 'm' | 'h' | 'd']}`;
}

function listCommand(): Command {
  return new Command('list')
    .description('The last hundred grants, the newest first.')
    .action(action((context) => asOwner(context, async (client) => {
      const grants = await listOperatorGrants(client);
      const shown = grants.map(({ id, slug, operator, reason, isAlive, may_act: mayAct, expires_at: end }) => [id, slug, operator, mayAct ? 'act' : 'look', isAlive ? `until ${end.toISOString()}` : 'over', reason]);
      context.answer(grants, table(['grant', 'tenant', 'login', 'may', 'alive', 'reason'], shown));
    })));
}

function endCommand(): Command {
  return new Command('end')
    .argument('<grant>', 'its id', parseId)
    .description('End a grant before its time.')
    .action(action((context, _options: object, id: string) => asOwner(context, async (client) => {
      const ended = await endOperatorGrant(client, id);
      context.answer(ended, `The grant of ${ended.operator} is over.`);
    })));
}
