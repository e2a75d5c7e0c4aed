import { statSync } from 'node:fs';
import { Command } from 'commander';
import { flowPlan, type JsonObject } from '../../engine/index.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes } from '../context.ts';
import { diagramOptions, tellDiagram, type DiagramOptions } from '../diagram.ts';
import { findingLines } from '../workflow/check.ts';
import { checkFiles, findFlow, readFlowFile } from './file.ts';

export function diagramCommand(): Command {
  return diagramOptions(actingOptions(new Command('diagram')))
    .argument('<flow>', 'a file, or the id or name of a flow')
    .description('The tasks of a flow and what leads from one to the next, as mermaid or as SVG.')
    .action(action<ActingOptions & DiagramOptions>(async (context, options, given) => {
      const isFile = statSync(given, { throwIfNoEntry: false })?.isFile() === true;
      const definition = await actAs(context, options, ({ transaction }) => transaction(async (client): Promise<JsonObject | null> => {
        if (!isFile) return (await findFlow(client, given)).definition;
        const file = readFlowFile(given);
        const [findings] = await checkFiles(client, [file]);
        if (!findings!.valid) context.answer(findings, findingLines(findings!).join('\n'));
        return findings!.valid ? file.text!.value as JsonObject : null;
      }));
      if (definition === null) return exitCodes.failure;
      await tellDiagram(context, options, flowPlan(definition, { everyTask: true }));
      return exitCodes.ok;
    }));
}
