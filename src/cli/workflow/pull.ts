import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { AgentFlowError } from '../../errors.ts';
import { listWorkflows, type WorkflowRow } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { JsonSyntaxError } from '../json-text.ts';
import { documentOf, fileNameOf, filesOf, isSame, readJsonFile, workflowOf } from './file.ts';
import { findWorkflow } from './find.ts';

interface Options extends ActingOptions {
  all?: boolean;
  dir: string;
  stdout?: boolean;
}

export function pullCommand(): Command {
  return actingOptions(new Command('pull'))
    .argument('[name...]', 'names or ids of workflows')
    .option('--all', 'all workflows of the tenant that are not archived')
    .option('--dir <folder>', 'where to write; a file there that already holds the workflow is kept or renewed', '.')
    .option('--stdout', 'write the document of one workflow to standard output')
    .description('Write workflows to files, as workflow apply reads them.')
    .action(action<Options>(async (context, options, ...names) => {
      if ((names.length === 0) === (options.all !== true)) throw new AgentFlowError('USAGE', 'Name the workflows to pull, or give --all.');
      const rows = await actAs(context, options, ({ transaction }) => transaction(async (client) => {
        if (options.all) return (await listWorkflows(client)).filter(({ status }) => status !== 'archived');
        return Promise.all(names.map((name) => findWorkflow(client, name)));
      }));
      if (options.stdout) return toStdout(rows);
      const written = write(rows, options.dir);
      context.answer(written, written.map(({ file, changed }) => `${changed ? 'written ' : 'same    '} ${file}`).join('\n'));
    }));
}

function toStdout([row, ...others]: WorkflowRow[]): void {
  if (row === undefined || others.length > 0) throw new AgentFlowError('USAGE', 'Only one workflow fits into --stdout.');
  process.stdout.write(textOf(row));
}

function textOf(row: WorkflowRow): string {
  return `${JSON.stringify(documentOf(row), null, 2)}\n`;
}

interface Written {
  name: string;
  file: string;
  changed: boolean;
}

/** @throws AgentFlowError USAGE before anything is written when two workflows share a name. */
function write(rows: readonly WorkflowRow[], folder: string): Written[] {
  const twice = rows.filter(({ name }, index) => rows.findIndex((row) => row.name === name) !== index).map(({ name }) => name);
  if (twice.length > 0) throw new AgentFlowError('USAGE', `Several workflows are called ${[...new Set(twice)].join(', ')}: files know workflows by name.`, { remedy: 'Rename them.' });
  mkdirSync(folder, { recursive: true });
  const known = filesByName(folder);
  return rows.map((row) => {
    const file = known.get(row.name) ?? freeName(folder, row);
    const changed = !holdsSame(file, row);
    if (changed) writeFileSync(file, textOf(row));
    return { name: row.name, file, changed };
  });
}

/** The files that are there, by the name of their workflow. */
function filesByName(folder: string): Map<string, string> {
  return new Map(filesOf([folder]).flatMap((file): [string, string][] => {
    const name = nameIn(file);
    return name === null ? [] : [[name, file]];
  }));
}

function nameIn(file: string): string | null {
  try {
    return workflowOf(file, readJsonFile(file)).name;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return null;
    throw error;
  }
}

function holdsSame(file: string, row: WorkflowRow): boolean {
  return existsSync(file) && nameIn(file) === row.name && isSame(workflowOf(file, readJsonFile(file)), row);
}

/** Two names may make the same file name. */
function freeName(folder: string, row: WorkflowRow): string {
  const plain = path.join(folder, fileNameOf(row));
  return existsSync(plain) ? plain.replace(/\.json$/, `-${row.id.slice(0, 8)}.json`) : plain;
}
