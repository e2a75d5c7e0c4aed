import { statSync } from 'node:fs';
import { Command } from 'commander';
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { validateAll } from '../../server/workflow-tools.ts';
import { startExecution, startNodeTest, type WorkflowRow } from '../../store/workflow-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { withWorker } from '../execution/alone.ts';
import { demandExecution, follow, tellEnd } from '../execution/follow.ts';
import { inputOf } from '../execution/input.ts';
import { priorityOption } from '../execution/priority.ts';
import { loadWorkflowTools } from '../workflow-tools.ts';
import { carryOut, planChanges } from './changes.ts';
import { findingLines, placed, readForChecking } from './check.ts';
import type { WorkflowFile } from './file.ts';
import { findWorkflow } from './find.ts';

interface Options extends ActingOptions {
  input?: string;
  follow?: boolean;
  key?: string;
  priority?: number;
}

export function runCommand(): Command {
  return inputOption(actingOptions(new Command('run')))
    .argument('<workflow>', 'name or id, or a file: it is saved as a draft first')
    .option('--follow', 'show it until it ends, then its final state')
    .option('--key <key>', 'idempotency key: the same key with the same input runs once')
    .addOption(priorityOption())
    .description('Execute a workflow. With --follow the exit code is 1 when it did not complete.')
    .action(action<Options>((context, options, given) => {
      const input = inputOf(options.input);
      return start(context, options, given, (client, id) => startExecution(client, id, input, options.key ?? null, options.priority));
    }));
}

export function testCommand(): Command {
  return inputOption(actingOptions(new Command('test')))
    .argument('<workflow>', 'name or id, or a file: it is saved as a draft first')
    .argument('<node>', 'id of the node')
    .description('Run one node alone, on a given state, and show what becomes of it. Exit code 1 when it fails.')
    .action(action<Options>((context, options, given, node) => {
      const state = inputOf(options.input);
      return start(context, { ...options, follow: true }, given, (client, id) => startNodeTest(client, id, node, state));
    }));
}

function inputOption(command: Command): Command {
  return command.option('--input <json>', 'what the state starts with: a JSON object, @FILE, - for standard input, or the text of user_input');
}

function start(context: Context, options: Options, given: string, begin: (client: pg.ClientBase, workflowId: string) => Promise<string>): Promise<number> {
  return actAs(context, options, (acting) => withWorker(context, acting, options.follow === true, async () => {
    const file = readFile(context, given);
    if (file === 'not valid') return exitCodes.failure;
    const id = await acting.transaction(async (client) => {
      const workflow = file === null ? await findWorkflow(client, given) : await saved(context, client, file);
      return workflow === null ? null : begin(client, workflow.id);
    });
    if (id === null) return exitCodes.failure;
    if (options.follow) return tellEnd(context, await follow(context, acting, id));
    context.answer(await demandExecution(acting, id), `Execution ${id} is accepted. agentflow execution follow ${id} shows it.`);
    return exitCodes.ok;
  }));
}

/** Null when no file is meant. */
function readFile(context: Context, given: string): WorkflowFile | null | 'not valid' {
  if (!given.endsWith('.json') && !statSync(given, { throwIfNoEntry: false })?.isFile()) return null;
  const { findings, workflow } = readForChecking(given);
  if (workflow !== null) return workflow;
  context.answer(findings, findingLines(findings).join('\n'));
  return 'not valid';
}

/** Null, with the problems told, when it is not valid. @throws AgentFlowError USAGE rather than change what is published */
async function saved(context: Context, client: pg.ClientBase, workflow: WorkflowFile): Promise<Pick<WorkflowRow, 'id'> | null> {
  const [validation] = await validateAll(client, await loadWorkflowTools(), [workflow.spec]);
  const findings = placed({ file: workflow.file, valid: true, errors: [], warnings: [], open: [] }, workflow.text, validation!);
  if (!findings.valid) {
    context.answer(findings, findingLines(findings).join('\n'));
    return null;
  }
  const [change] = await planChanges(client, [workflow], { publish: false, prune: false });
  if (change!.kind === 'update' && change!.status !== 'draft') {
    throw new AgentFlowError('USAGE', `${workflow.name} is ${change!.status}, and differs from ${workflow.file}.`, { remedy: 'Apply the file first (agentflow workflow apply), or give it another name.' });
  }
  await carryOut(client, [change!]);
  return { id: change!.id! };
}
