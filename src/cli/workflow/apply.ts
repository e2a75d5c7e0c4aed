import { Command } from 'commander';
import { AgentFlowError } from '../../errors.ts';
import { validateAll } from '../../server/workflow-tools.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { table } from '../table.ts';
import { loadWorkflowTools } from '../workflow-tools.ts';
import { findingLines, placed, readForChecking, type FileFindings } from './check.ts';
import { carryOut, planChanges, type Change } from './changes.ts';
import { filesOf, type WorkflowFile } from './file.ts';

interface Options extends ActingOptions {
  dryRun?: boolean;
  prune?: boolean;
  publish?: boolean;
  allowInvalid?: boolean;
}

export function applyCommand(): Command {
  return actingOptions(new Command('apply'))
    .argument('<path...>', 'workflow files, or folders of them')
    .option('--dry-run', 'tell what would change, change nothing')
    .option('--publish', 'publish what is applied')
    .option('--prune', 'delete the workflows of the tenant that are in none of the files (they can be restored)')
    .option('--allow-invalid', 'save drafts that are not valid yet')
    .description('Make the tenant\'s workflows what the files say, by name, all of them or none.')
    .action(action<Options>(async (context, options, ...paths) => {
      const { workflows, findings } = readAll(paths);
      if (options.dryRun || findings.length === 0) return apply(context, options, workflows);
      return refuse(context, findings);
    }));
}

function readAll(paths: readonly string[]): { workflows: WorkflowFile[]; findings: FileFindings[] } {
  const read = filesOf(paths).map(readForChecking);
  const workflows = read.flatMap(({ workflow }) => (workflow === null ? [] : [workflow]));
  for (const [index, { file, name }] of workflows.entries()) {
    const other = workflows.slice(0, index).find((earlier) => earlier.name === name);
    if (other) throw new AgentFlowError('USAGE', `${other.file} and ${file} are both called ${name}.`, { remedy: 'Give each its own name.' });
  }
  return { workflows, findings: read.filter(({ findings }) => !findings.valid).map(({ findings }) => findings) };
}

function refuse(context: Context, findings: FileFindings[]): number {
  context.answer({ applied: false, changes: [], problems: findings }, [...findings.flatMap(findingLines), 'Nothing was changed.'].join('\n'));
  return exitCodes.failure;
}

async function apply(context: Context, options: Options, files: WorkflowFile[]): Promise<number> {
  const tools = await loadWorkflowTools();
  const result = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
    const changes = await planChanges(client, files, { publish: options.publish === true, prune: options.prune === true });
    const validations = await validateAll(client, tools, files.map(({ spec }) => spec));
    const checked = files.map((workflow, index) => placed({ file: workflow.file, valid: true, errors: [], warnings: [], open: [] }, workflow.text, validations[index]!));
    const refused = checked.filter(({ file, valid }) => !valid && mustBeValid(changes.find((change) => change.file === file)!, options));
    if (refused.length === 0) await carryOut(client, changes);
    return { changes, refused, warned: checked.filter(({ errors, warnings }) => errors.length + warnings.length > 0) };
  }, options.dryRun ? 'rollback' : 'commit'));
  const { changes, refused, warned } = result;
  if (refused.length > 0) return refuse(context, warned);
  context.answer({ applied: options.dryRun !== true, changes, problems: warned }, [...warned.flatMap(findingLines), changeTable(changes), closingLine(changes, options)].join('\n'));
  return exitCodes.ok;
}

function mustBeValid(change: Change, { allowInvalid }: Options): boolean {
  if (change.kind === 'same' && !change.publishes) return false;
  return allowInvalid !== true || change.publishes || change.status === 'published';
}

const marks: Readonly<Record<Change['kind'], string>> = { create: '+', update: '~', same: '=', delete: '-' };

function changeTable(changes: readonly Change[]): string {
  return table(['', 'workflow', 'version', 'status', 'file'], changes.map(({ kind, name, version, status, publishes, file }) =>
    [marks[kind], name, kind === 'update' ? `${version} -> ${version + 1}` : kind === 'delete' ? '-' : String(version), publishes ? `${status} -> published` : kind === 'delete' ? `${status} -> deleted` : status, file ?? '']));
}

function closingLine(changes: readonly Change[], { dryRun }: Options): string {
  const count = (kind: Change['kind']): number => changes.filter((change) => change.kind === kind).length;
  const words = `${count('create')} created, ${count('update')} updated, ${count('same')} unchanged, ${count('delete')} deleted, ${changes.filter(({ publishes }) => publishes).length} published`;
  return dryRun ? `Would be: ${words}. Nothing was changed.` : `${words}.`;
}
