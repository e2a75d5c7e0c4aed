import { Command } from 'commander';
import { checkFlows } from '../../store/flow-api.ts';
import { listFlowVersions } from '../../store/flow-listing.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { table } from '../table.ts';
import { findFlow } from './file.ts';

export function showCommand(): Command {
  return actingOptions(new Command('show'))
    .argument('<flow>', 'id or name')
    .description('One flow: its tasks, its conditions, its versions, what validation warns of. With --json the definition too.')
    .action(action<ActingOptions>(async (context, options, name) => {
      const shown = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        const flow = await findFlow(client, name);
        const [problems] = await checkFlows(client, [flow]);
        return { ...flow, warnings: problems!.warnings, versions: await listFlowVersions(client, flow.id) };
      }));
      const list = (key: string): Record<string, unknown>[] => (Array.isArray(shown.definition[key]) ? shown.definition[key] as Record<string, unknown>[] : []);
      const text = (value: unknown): string => (typeof value === 'string' ? value : '');
      context.answer(shown, [
        `${shown.name} (${shown.id}, ${shown.isActive ? 'active' : 'inactive'}, version ${shown.version}), starts with ${shown.startTask}`,
        ...(shown.description === null ? [] : [shown.description]),
        '', table(['task', 'description'], list('tasks').map((task) => [text(task['name']), text(task['description'])])),
        '', table(['after', 'outcome', 'success goes to', 'failure goes to'], list('conditions').map((condition) =>
          ['source_task', 'outcome', 'target_task_success', 'target_task_failure'].map((key) => text(condition[key])))),
        '', table(['version', 'made', 'by'], shown.versions.map(({ version, createdAt, createdBy }) => [String(version), createdAt.toISOString(), createdBy ?? ''])),
        ...(shown.warnings.length === 0 ? [] : ['', ...shown.warnings.map(({ code, message }) => `${code} ${message}`)]),
      ].join('\n'));
    }));
}
