import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { applyBaseline, describeFinding, readBaseline, runLints, type LintReport } from '../../schema/lint.ts';
import { migrationsFolder } from '../../schema/migrate.ts';
import { describeProblem, manifestProblems, type ManifestProblem } from '../../schema/manifest.ts';
import { runSquawk } from '../../schema/squawk.ts';
import { action, exitCodes } from '../context.ts';
import { onDatabase } from './work.ts';

export function lintCommand(): Command {
  return new Command('lint')
    .description('Check the database\'s schema by the lints of src/schema/lints, new migrations by squawk, and the fixtures\' manifest. Exit code 1 on any finding outside of migrations/lint-baseline.json.')
    .action(action((context) => onDatabase(context, async (database) => {
      const found = await withClient(database.databaseUrl, runLints);
      const squawk = await runSquawk(migrationsFolder);
      const report = applyBaseline([...found, ...(squawk ?? [])], readBaseline(migrationsFolder));
      const manifest = manifestProblems(migrationsFolder);
      const isClean = report.findings.length === 0 && report.stale.length === 0 && manifest.length === 0;
      context.answer({ isClean, ...report, manifest, squawk: squawk !== null }, describe(report, manifest, squawk !== null));
      return isClean ? exitCodes.ok : exitCodes.failure;
    })));
}

function describe({ findings, accepted, stale, lints }: LintReport, manifest: ManifestProblem[], hasSquawk: boolean): string {
  return [
    ...findings.map(describeFinding),
    ...manifest.map(describeProblem),
    ...stale.map(({ lint, object }) => `stale   lint-baseline.json accepts ${lint} of ${object}, which is no finding any more: remove the entry`),
    ...(hasSquawk ? [] : ['squawk is not available on this platform: new migrations were not checked by it.']),
    `${lints} lints: ${findings.length} findings, ${accepted.length} accepted.`,
  ].join('\n');
}
