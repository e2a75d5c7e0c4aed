import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { apiChanges, breakingDeclarations, mainBefore, stateAt, type ApiChange } from '../../schema/api-breaks.ts';
import { migrationsFolder, projectFolder } from '../../schema/migrate.ts';
import { action, exitCodes } from '../context.ts';

export function breaksCommand(): Command {
  return new Command('breaks')
    .description('Name every change of migrations/snapshot/schema.graphql that breaks API clients, or may. Exit code 1 for a break that no migration declares in a header line: --! Breaking: Type.field and why')
    .option('--against <ref>', 'the commit whose clients must go on working (default: main; on main itself the commit before it)')
    .action(action(async (context, options: { against?: string }) => {
      const against = options.against ?? mainBefore(projectFolder);
      const before = against === null ? null : stateAt(against, projectFolder);
      if (against === null || before === null) {
        context.answer({ against, changes: [] }, against === null ? 'There is no earlier commit here to compare with.' : `${against} has no schema.graphql: there are no clients to break.`);
        return exitCodes.ok;
      }
      const sdl = readFileSync(path.join(migrationsFolder, 'snapshot', 'schema.graphql'), 'utf8');
      const changes = apiChanges(before.sdl, sdl, breakingDeclarations(migrationsFolder, before.migrations));
      context.answer({ against, changes }, describe(changes, against));
      return changes.every(({ declared }) => declared) ? exitCodes.ok : exitCodes.failure;
    }));
}

function describe(changes: ApiChange[], against: string): string {
  if (changes.length === 0) return `Nothing that breaks clients of ${against}.`;
  const undeclared = changes.filter(({ declared }) => !declared).map(({ subject }) => subject);
  return [
    ...changes.map(({ level, message, declared }) => `${level.padEnd(9)} ${message}${level === 'breaking' && declared ? ' (declared)' : ''}`),
    ...(undeclared.length === 0 ? [] : [`Keep what was there, or declare it in the header of the migration: --! Breaking: ${[...new Set(undeclared)].join(', ')} because ...`]),
  ].join('\n');
}
