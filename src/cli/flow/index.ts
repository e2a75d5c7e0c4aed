import { Command } from 'commander';
import { applyCommand } from './apply.ts';
import { diagramCommand } from './diagram.ts';
import { listCommand, tasksCommand } from './list.ts';
import { followCommand, runCommand } from './run.ts';
import { schemaCommand } from './schema.ts';
import { showCommand } from './show.ts';
import { validateCommand } from './validate.ts';

export function flowCommands(): Command {
  return new Command('flow')
    .description('Flows as files and as rows: check, apply, run, draw.')
    .addCommand(validateCommand())
    .addCommand(applyCommand())
    .addCommand(runCommand())
    .addCommand(followCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(diagramCommand())
    .addCommand(tasksCommand())
    .addCommand(schemaCommand());
}
