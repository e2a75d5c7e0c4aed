import { Command } from 'commander';
import { readVersionSpec } from '../../store/execution-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { diagramOptions, tellDiagram, type DiagramOptions } from '../diagram.ts';
import { parseId } from '../ids.ts';
import { loadDrawablePlan } from '../workflow-tools.ts';
import { demandExecution } from './follow.ts';

export function diagramCommand(): Command {
  return diagramOptions(actingOptions(new Command('diagram')))
    .argument('<id>', 'id of the execution', parseId)
    .description('The graph of the version that ran, coloured by how its nodes fared, with time and tokens on them; as mermaid or as SVG.')
    .action(action<ActingOptions & DiagramOptions>((context, options, id) => actAs(context, options, async (acting) => {
      const { workflowId, version, nodes } = await demandExecution(acting, id);
      const spec = await acting.transaction((client) => readVersionSpec(client, workflowId, version));
      await tellDiagram(context, options, await loadDrawablePlan(spec), Object.fromEntries(nodes.map(({ nodeId, status, seconds, tokens }) => [nodeId, { status, seconds, tokens }])));
    })));
}
