import { Command } from 'commander';
import { statSync } from 'node:fs';
import { listVersions, type VersionRow, type WorkflowRow } from '../../store/workflow-rows.ts';
import type { JsonObject } from '../../engine/types.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes } from '../context.ts';
import { documentOf, readJsonFile, workflowOf } from './file.ts';
import { findWorkflow } from './find.ts';
import { differenceLine, specDifferences } from './spec-diff.ts';
import { demandVersion, versionNumber } from './versions.ts';

export function diffCommand(): Command {
  return actingOptions(new Command('diff'))
    .argument('<workflow>', 'name or id')
    .argument('[v1]', 'number of a version, or a file; the version before the present one when left out')
    .argument('[v2]', 'number of a version, or a file; the present version when left out')
    .description('What changed from one version of a workflow to another, part by part. Exit code 1 when they differ.')
    .action(action<ActingOptions>(async (context, options, name, from, to) => {
      const [before, after] = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        const workflow = await findWorkflow(client, name);
        const versions = await listVersions(client, workflow.id);
        return [sideOf(from ?? String(Math.max(1, workflow.version - 1)), workflow, versions), sideOf(to ?? String(workflow.version), workflow, versions)];
      }));
      const differences = specDifferences(before, after);
      context.answer(differences, differences.length === 0 ? 'No difference.' : differences.map(differenceLine).join('\n'));
      return differences.length === 0 ? exitCodes.ok : exitCodes.failure;
    }));
}

/** A version as it is stored; a file as it would be, beside the present name and description. */
function sideOf(text: string, workflow: WorkflowRow, versions: readonly VersionRow[]): JsonObject {
  if (!/^\d+$/.test(text) && statSync(text, { throwIfNoEntry: false })?.isFile()) return documentOf(workflowOf(text, readJsonFile(text)));
  const { spec } = demandVersion(workflow, versions, versionNumber(text));
  return documentOf({ ...workflow, spec });
}
