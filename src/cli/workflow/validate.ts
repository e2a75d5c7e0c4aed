import { Command } from 'commander';
import { loadSelectChecker } from '../../engine/index.ts';
import { validateAll } from '../../server/workflow-tools.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { loadNodeTypes, loadWorkflowTools } from '../workflow-tools.ts';
import { checkOffline, findingLines, placed, readForChecking, type FileFindings } from './check.ts';
import { filesOf } from './file.ts';

interface Options extends ActingOptions {
  connected?: boolean;
  strict?: boolean;
}

export function validateCommand(): Command {
  return actingOptions(new Command('validate'))
    .argument('<file...>', 'workflow files, or folders of them')
    .option('--connected', 'look up sources in the tenant too; without it names that are not in the document stay open')
    .option('--strict', 'warnings count as errors')
    .description('Check workflow files. Tells every problem with file, line and column. Exit code 1 when there are errors.')
    .action(action<Options>(async (context, options, ...files) => {
      const findings = options.connected ? await checkConnected(context, options, filesOf(files)) : await checkAlone(filesOf(files));
      const isFine = findings.every(({ valid, warnings }) => valid && !(options.strict && warnings.length > 0));
      context.answer(findings, [...findings.flatMap(findingLines), ...findings.map(summary)].join('\n'));
      return isFine ? exitCodes.ok : exitCodes.failure;
    }));
}

function summary({ file, valid, errors, warnings, open }: FileFindings): string {
  const count = (list: unknown[], word: string): string => `${list.length} ${word}${list.length === 1 ? '' : 's'}`;
  const verdict = valid ? 'valid' : 'not valid';
  const left = open.length === 0 ? '' : `; not looked up: ${open.join(', ')} (--connected does)`;
  return `${file}: ${verdict}, ${count(errors, 'error')}, ${count(warnings, 'warning')}${left}`;
}

async function checkAlone(files: readonly string[]): Promise<FileFindings[]> {
  const [checkSelect, nodeTypes] = await Promise.all([loadSelectChecker(), loadNodeTypes()]);
  return files.map((file) => {
    const { findings, workflow } = readForChecking(file);
    if (workflow === null) return findings;
    const { open, validation } = checkOffline(workflow.spec, { nodeTypes, checkSelect });
    return { ...placed(findings, workflow.text, validation), open };
  });
}

async function checkConnected(context: Context, options: ActingOptions, files: readonly string[]): Promise<FileFindings[]> {
  const tools = await loadWorkflowTools();
  return actAs(context, options, ({ transaction }) => transaction(async (client) => {
    const read = files.map(readForChecking);
    const validations = await validateAll(client, tools, read.flatMap(({ workflow }) => (workflow === null ? [] : [workflow.spec])));
    return read.map(({ findings, workflow }) => (workflow === null ? findings : placed(findings, workflow.text, validations.shift()!)));
  }));
}
