import { Command } from 'commander';
import { listWorkflows } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { table } from '../table.ts';

export function listCommand(): Command {
  return actingOptions(new Command('list'))
    .description('The workflows of the tenant.')
    .action(action<ActingOptions>(async (context, options) => {
      const rows = await actAs(context, options, ({ transaction }) => transaction(listWorkflows));
      const shown = rows.map(({ spec, ...row }) => ({ ...row, nodes: Array.isArray(spec['nodes']) ? spec['nodes'].length : 0 }));
      context.answer(shown, table(['name', 'status', 'version', 'nodes', 'changed', 'id'], shown.map(({ name, status, version, nodes, updatedAt, id }) =>
        [name, status, String(version), String(nodes), updatedAt.toISOString().slice(0, 19).replace('T', ' '), id])));
    }));
}
