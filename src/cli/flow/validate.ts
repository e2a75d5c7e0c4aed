import { Command } from 'commander';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes } from '../context.ts';
import { findingLines, type FileFindings } from '../workflow/check.ts';
import { filesOf } from '../workflow/file.ts';
import { checkFiles, readFlowFile } from './file.ts';

export function validateCommand(): Command {
  return actingOptions(new Command('validate'))
    .argument('<file...>', 'flow files, or folders of them')
    .option('--strict', 'warnings count as errors')
    .description('Check flow files by the rules of the database. Tells every problem with file, line and column. Exit code 1 when there are errors.')
    .action(action<ActingOptions & { strict?: boolean }>(async (context, options, ...paths) => {
      const files = filesOf(paths).map(readFlowFile);
      const findings = await actAs(context, options, ({ transaction }) => transaction((client) => checkFiles(client, files)));
      context.answer(findings, [...findings.flatMap(findingLines), ...findings.map(summary)].join('\n'));
      return findings.every(({ valid, warnings }) => valid && !(options.strict && warnings.length > 0)) ? exitCodes.ok : exitCodes.failure;
    }));
}

function summary({ file, valid, errors, warnings }: FileFindings): string {
  const count = (list: unknown[], word: string): string => `${list.length} ${word}${list.length === 1 ? '' : 's'}`;
  return `${file}: ${valid ? 'valid' : 'not valid'}, ${count(errors, 'error')}, ${count(warnings, 'warning')}`;
}
