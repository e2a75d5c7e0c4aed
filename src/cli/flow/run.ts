import { statSync } from 'node:fs';
import { Command } from 'commander';
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { flowRunId } from '../../store/flow-run-id.ts';
import { findFlows, readFlowExecution, startFlow, type FlowExecutionView } from '../../store/flow-listing.ts';
import { actAs, actingOptions, type Acting, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { withWorker } from '../execution/alone.ts';
import { followUntilOver } from '../execution/follow.ts';
import { inputOf } from '../execution/input.ts';
import { priorityOption } from '../execution/priority.ts';
import { findingLines } from '../workflow/check.ts';
import { applyFlow } from './apply.ts';
import { checkFiles, findFlow, flowOf, readFlowFile } from './file.ts';
import { flowWords } from './words.ts';

interface Options extends ActingOptions {
  input?: string;
  follow?: boolean;
  key?: string;
  priority?: number;
}

export function runCommand(): Command {
  return actingOptions(new Command('run'))
    .argument('<flow>', 'id or name, or a file: it is created first')
    .option('--input <json>', 'the context to start with: a JSON object, @FILE, or - for standard input')
    .option('--follow', 'show it until it ends, then its context')
    .option('--key <key>', 'idempotency key: the same key with the same input runs once')
    .addOption(priorityOption())
    .description('Execute a flow. With --follow the exit code is 1 when it did not complete.')
    .action(action<Options>((context, options, given) => {
      const input = inputOf(options.input);
      return actAs(context, options, (acting) => withWorker(context, acting, options.follow === true, async () => {
        const id = await acting.transaction(async (client) => {
          const flowId = isFile(given) ? await created(context, client, given) : (await findFlow(client, given)).id;
          return flowId === null ? null : startFlow(client, flowId, input, options.key ?? null, options.priority);
        });
        if (id === null) return exitCodes.failure;
        if (options.follow) return tellEnd(context, await followFlow(context, acting, id));
        context.answer(await demandFlowExecution(acting, id), `Execution ${id} is accepted. agentflow flow follow ${id} shows it.`);
        return exitCodes.ok;
      }));
    }));
}

export function followCommand(): Command {
  return actingOptions(new Command('follow'))
    .argument('<id>', 'id of the execution of a flow')
    .description('Show an execution of a flow while it runs, task by task, until it ends. Exit code 1 when it did not complete.')
    .action(action<ActingOptions>((context, options, id) => actAs(context, options, async (acting) => tellEnd(context, await followFlow(context, acting, id)))));
}

function isFile(given: string): boolean {
  return given.endsWith('.json') || statSync(given, { throwIfNoEntry: false })?.isFile() === true;
}

/** Null, with the problems told, when it is not valid. @throws AgentFlowError USAGE rather than change a flow that is there */
async function created(context: Context, client: pg.ClientBase, name: string): Promise<string | null> {
  const file = readFlowFile(name);
  const [findings] = await checkFiles(client, [file]);
  if (!findings!.valid) {
    context.answer(findings, findingLines(findings!).join('\n'));
    return null;
  }
  const { id } = flowOf(file);
  const isThere = (await findFlows(client, id)).some((flow) => flow.id === id);
  const { kind } = await applyFlow(client, file);
  if (isThere && kind === 'update') throw new AgentFlowError('USAGE', `The flow ${id} differs from ${name}.`, { remedy: 'Apply the file first (agentflow flow apply), or give it another id.' });
  return id;
}

/** @throws AgentFlowError NOT_FOUND */
async function demandFlowExecution({ transaction }: Acting, id: string): Promise<FlowExecutionView> {
  const view = /^\d{1,18}$/.test(id) ? await transaction((client) => readFlowExecution(client, id)) : null;
  if (view) return view;
  throw new AgentFlowError('NOT_FOUND', `There is no execution ${id} of a flow.`);
}

async function followFlow(context: Context, acting: Acting, id: string): Promise<FlowExecutionView> {
  await demandFlowExecution(acting, id);
  return followUntilOver(context, acting, { topic: flowRunId(id), read: () => demandFlowExecution(acting, id), isPending: ({ status }) => status === 'PENDING', words: flowWords });
}

/** The context at the end, and the exit code that says whether it completed. */
function tellEnd(context: Context, view: FlowExecutionView): number {
  context.answer(view, JSON.stringify(view.outputData, null, 2));
  return view.status === 'FAILURE' ? exitCodes.failure : exitCodes.ok;
}
