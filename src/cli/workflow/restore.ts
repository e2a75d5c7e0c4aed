import { Command } from 'commander';
import { AgentFlowError } from '../../errors.ts';
import { validateAll } from '../../server/workflow-tools.ts';
import { listVersions, restoreVersion } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { loadWorkflowTools } from '../workflow-tools.ts';
import { findWorkflow } from './find.ts';
import { demandVersion, versionNumber } from './versions.ts';

export function restoreCommand(): Command {
  return actingOptions(new Command('restore'))
    .argument('<workflow>', 'name or id')
    .argument('<version>', 'number of the version to come back to')
    .description('Make the document of an earlier version the present one, as a new version. A published workflow must stay valid.')
    .action(action<ActingOptions>(async (context, options, name, version) => {
      const wanted = versionNumber(version);
      const tools = await loadWorkflowTools();
      const workflow = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        const found = await findWorkflow(client, name);
        const { spec } = demandVersion(found, await listVersions(client, found.id), wanted);
        if (found.status === 'published') demandValid((await validateAll(client, tools, [spec]))[0]!);
        return restoreVersion(client, found.id, wanted);
      }));
      context.answer(workflow, `${workflow.name} is at version ${workflow.version} now, with the document of version ${wanted}.`);
    }));
}

function demandValid({ errors }: { errors: { code: string; message: string }[] }): void {
  const [first] = errors;
  if (first) throw new AgentFlowError('INVALID_WORKFLOW', `A published workflow must stay valid: ${first.code} ${first.message}`, { details: { problems: errors } });
}
