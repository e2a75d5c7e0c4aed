import { Command } from 'commander';
import { validateAll } from '../../server/workflow-tools.ts';
import { listVersions } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { table } from '../table.ts';
import { loadWorkflowTools } from '../workflow-tools.ts';
import { findWorkflow } from './find.ts';

export function showCommand(): Command {
  return actingOptions(new Command('show'))
    .argument('<workflow>', 'name or id')
    .description('One workflow: what it is, its nodes, its versions, what validation says. With --json the document too.')
    .action(action<ActingOptions>(async (context, options, name) => {
      const tools = await loadWorkflowTools();
      const shown = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        const workflow = await findWorkflow(client, name);
        const [validation] = await validateAll(client, tools, [workflow.spec]);
        return { ...workflow, validation: validation!, versions: (await listVersions(client, workflow.id)).map(({ spec: _, ...version }) => version) };
      }));
      const { validation: { errors, warnings } } = shown;
      const nodes = (Array.isArray(shown.spec['nodes']) ? shown.spec['nodes'] : []) as { id?: string; type?: string; description?: string }[];
      context.answer(shown, [
        `${shown.name} (${shown.status}, version ${shown.version}, ${shown.id})`,
        ...(shown.description === null ? [] : [shown.description]),
        '', table(['node', 'type', 'description'], nodes.map((node) => [String(node?.id), String(node?.type), node?.description ?? ''])),
        '', table(['version', 'made', 'by'], shown.versions.map(({ version, createdAt, createdBy }) => [String(version), createdAt.toISOString(), createdBy ?? ''])),
        ...(errors.length + warnings.length === 0 ? [] : ['', ...[...errors, ...warnings].map(({ code, message }) => `${code} ${message}`)]),
      ].join('\n'));
    }));
}
