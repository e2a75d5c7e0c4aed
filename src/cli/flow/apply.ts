import { isDeepStrictEqual } from 'node:util';
import { Command } from 'commander';
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { createFlow, updateFlow } from '../../store/flow-api.ts';
import { findFlows } from '../../store/flow-listing.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { table } from '../table.ts';
import { findingLines, type FileFindings } from '../workflow/check.ts';
import { filesOf } from '../workflow/file.ts';
import { checkFiles, flowOf, readFlowFile, type FlowFile } from './file.ts';

interface Options extends ActingOptions {
  dryRun?: boolean;
  activate?: boolean;
}

export interface FlowChange {
  kind: 'create' | 'update' | 'same';
  id: string;
  /** Before the change; 1 for what is created. */
  version: number;
  file: string;
}

export function applyCommand(): Command {
  return actingOptions(new Command('apply'))
    .argument('<path...>', 'flow files, or folders of them')
    .option('--dry-run', 'tell what would change, change nothing')
    .option('--activate', 'activate what is applied')
    .description('Make the tenant\'s flows what the files say, by id, all of them or none.')
    .action(action<Options>(async (context, options, ...paths) => {
      const files = filesOf(paths).map(readFlowFile);
      const { findings, changes } = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        const checked = await checkFiles(client, files);
        const isRefused = checked.some(({ valid }) => !valid);
        return { findings: checked, changes: isRefused ? null : await carryOut(client, files, options.activate === true) };
      }, options.dryRun ? 'rollback' : 'commit'));
      return changes === null ? refuse(context, findings) : tell(context, options, changes, findings);
    }));
}

async function carryOut(client: pg.ClientBase, files: readonly FlowFile[], activates: boolean): Promise<FlowChange[]> {
  const changes: FlowChange[] = [];
  for (const file of files) {
    const { id } = flowOf(file);
    const other = changes.find((change) => change.id === id);
    if (other) throw new AgentFlowError('USAGE', `${other.file} and ${file.file} are both flow ${id}.`, { remedy: 'Give each its own id.' });
    changes.push(await applyFlow(client, file));
    if (activates) await client.query('select from app_public.activate_flow($1)', [id]);
  }
  return changes;
}

/** Creates the flow of a file, or changes it when it differs. @throws AgentFlowError for what the database refuses */
export async function applyFlow(client: pg.ClientBase, file: FlowFile): Promise<FlowChange> {
  const flow = flowOf(file);
  const row = (await findFlows(client, flow.id)).find(({ id }) => id === flow.id);
  if (row === undefined) {
    await createFlow(client, flow);
    return { kind: 'create', id: flow.id, version: 1, file: file.file };
  }
  const { id, name, startTask, definition } = flow;
  const isSame = row.name === name && row.description === flow.description && isDeepStrictEqual(row.definition, definition);
  if (!isSame) await updateFlow(client, id, { name, startTask, definition, description: flow.description }, row.version);
  return { kind: isSame ? 'same' : 'update', id, version: row.version, file: file.file };
}

function refuse(context: Context, findings: FileFindings[]): number {
  context.answer({ applied: false, changes: [], problems: findings }, [...findings.flatMap(findingLines), 'Nothing was changed.'].join('\n'));
  return exitCodes.failure;
}

const marks: Readonly<Record<FlowChange['kind'], string>> = { create: '+', update: '~', same: '=' };

function tell(context: Context, { dryRun }: Options, changes: readonly FlowChange[], findings: FileFindings[]): number {
  const count = (kind: FlowChange['kind']): number => changes.filter((change) => change.kind === kind).length;
  const words = `${count('create')} created, ${count('update')} updated, ${count('same')} unchanged`;
  context.answer({ applied: dryRun !== true, changes, problems: findings }, [
    ...findings.flatMap(findingLines),
    table(['', 'flow', 'version', 'file'], changes.map(({ kind, id, version, file }) => [marks[kind], id, kind === 'update' ? `${version} -> ${version + 1}` : String(version), file])),
    dryRun ? `Would be: ${words}. Nothing was changed.` : `${words}.`,
  ].join('\n'));
  return exitCodes.ok;
}
