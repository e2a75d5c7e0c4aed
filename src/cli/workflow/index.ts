import { Command } from 'commander';
import { applyCommand } from './apply.ts';
import { diagramCommand } from './diagram.ts';
import { diffCommand } from './diff.ts';
import { listCommand } from './list.ts';
import { pullCommand } from './pull.ts';
import { restoreCommand } from './restore.ts';
import { runCommand, testCommand } from './run.ts';
import { schemaCommand } from './schema.ts';
import { showCommand } from './show.ts';
import { validateCommand } from './validate.ts';

export function workflowCommands(): Command {
  return new Command('workflow')
    .description('Workflows as files and as rows: check, apply, run, compare, draw.')
    .addCommand(validateCommand())
    .addCommand(applyCommand())
    .addCommand(pullCommand())
    .addCommand(runCommand())
    .addCommand(testCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(diagramCommand())
    .addCommand(diffCommand())
    .addCommand(restoreCommand())
    .addCommand(schemaCommand());
}
