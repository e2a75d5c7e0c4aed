import { Command } from 'commander';
import { listFlows, readFlowTasks } from '../../store/flow-listing.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { table } from '../table.ts';

export function listCommand(): Command {
  return actingOptions(new Command('list'))
    .description('The flows of the tenant.')
    .action(action<ActingOptions>(async (context, options) => {
      const rows = await actAs(context, options, ({ transaction }) => transaction(listFlows));
      const shown = rows.map(({ definition, ...row }) => ({ ...row, tasks: Array.isArray(definition['tasks']) ? definition['tasks'].length : 0 }));
      context.answer(shown, table(['id', 'name', 'active', 'version', 'tasks', 'changed'], shown.map(({ id, name, isActive, version, tasks, updatedAt }) =>
        [id, name, isActive ? 'yes' : 'no', String(version), String(tasks), updatedAt.toISOString().slice(0, 19).replace('T', ' ')])));
    }));
}

export function tasksCommand(): Command {
  return actingOptions(new Command('tasks'))
    .description('The tasks that flows can use: those that workers have registered.')
    .action(action<ActingOptions>(async (context, options) => {
      const names = await actAs(context, options, ({ transaction }) => transaction(readFlowTasks));
      context.answer(names, names.length === 0 ? 'None: no worker has registered any yet.' : names.join('\n'));
    }));
}
