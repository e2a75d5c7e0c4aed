import { statSync } from 'node:fs';
import { Command } from 'commander';
import { listVersions } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { diagramOptions, tellDiagram, type DiagramOptions } from '../diagram.ts';
import { loadDrawablePlan } from '../workflow-tools.ts';
import { findingLines, readForChecking } from './check.ts';
import { findWorkflow } from './find.ts';
import { demandVersion, versionNumber } from './versions.ts';

interface Options extends ActingOptions, DiagramOptions {
  version?: string;
}

export function diagramCommand(): Command {
  return diagramOptions(actingOptions(new Command('diagram')))
    .argument('<workflow>', 'a file, or the name or id of a workflow')
    .option('--version <number>', 'an earlier version (of a workflow that is no file)')
    .description('The graph of a workflow, as mermaid or as SVG. It must be valid.')
    .action(action<Options>(async (context, options, given) => {
      const spec = statSync(given, { throwIfNoEntry: false })?.isFile() ? specInFile(context, given) : await storedSpec(context, options, given);
      if (spec === null) return exitCodes.failure;
      await tellDiagram(context, options, await loadDrawablePlan(spec));
      return exitCodes.ok;
    }));
}

function specInFile(context: Context, file: string): unknown {
  const { findings, workflow } = readForChecking(file);
  if (workflow === null) context.answer(findings, findingLines(findings).join('\n'));
  return workflow?.spec ?? null;
}

function storedSpec(context: Context, options: Options, name: string): Promise<unknown> {
  return actAs(context, options, ({ transaction }) => transaction(async (client) => {
    const workflow = await findWorkflow(client, name);
    if (options.version === undefined) return workflow.spec;
    return demandVersion(workflow, await listVersions(client, workflow.id), versionNumber(options.version)).spec;
  }));
}
