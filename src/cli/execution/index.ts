import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { cancelExecution, decideApproval, listExecutions, retryExecution } from '../../store/execution-rows.ts';
import { actAs, actingOptions, type ActingOptions } from '../acting.ts';
import { action } from '../context.ts';
import { parseId } from '../ids.ts';
import { table } from '../table.ts';
import { findWorkflow } from '../workflow/find.ts';
import { withWorker } from './alone.ts';
import { diagramCommand } from './diagram.ts';
import { demandExecution, follow, followCommand, tellEnd } from './follow.ts';
import { endLine, nodeLine } from './words.ts';

export function executionCommands(): Command {
  return new Command('execution')
    .description('Executions of workflows: what they do, and what can be done about them.')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(followCommand())
    .addCommand(diagramCommand())
    .addCommand(cancelCommand())
    .addCommand(retryCommand())
    .addCommand(decideCommand());
}

interface ListOptions extends ActingOptions {
  status?: string;
  workflow?: string;
  limit: number;
}

function listCommand(): Command {
  return actingOptions(new Command('list'))
    .addOption(new Option('--status <status>', 'those that are so').choices(['pending', 'running', 'completed', 'failed', 'cancelled']))
    .option('--workflow <name>', 'name or id of a workflow')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .description('The latest executions.')
    .action(action<ListOptions>(async (context, options) => {
      const rows = await actAs(context, options, ({ transaction }) => transaction(async (client) => listExecutions(client, {
        status: options.status ?? null, limit: options.limit, workflowId: options.workflow === undefined ? null : (await findWorkflow(client, options.workflow)).id,
      })));
      context.answer(rows, table(['id', 'workflow', 'version', 'status', 'started', 'seconds', 'tokens', 'cost'], rows.map((row) =>
        [row.id, row.workflow, String(row.version), row.status, row.createdAt.toISOString().slice(0, 19).replace('T', ' '), row.seconds?.toFixed(3) ?? '', String(row.tokens), row.cost.toFixed(4)])));
    }));
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('a whole number from 1 is expected.');
  return Number(text);
}

function showCommand(): Command {
  return actingOptions(new Command('show'))
    .argument('<id>', 'id of the execution', parseId)
    .description('One execution: its nodes with their logs, its final state.')
    .action(action<ActingOptions>((context, options, id) => actAs(context, options, async (acting) => {
      const view = await demandExecution(acting, id);
      context.answer(view, [
        `${view.workflow} (version ${view.version}), execution ${view.id}`,
        ...view.nodes.flatMap((node) => [`  ${nodeLine(node)}`, ...node.logs.map(({ at, level, message }) => `      ${at} ${level}: ${message}`)]),
        endLine(view),
        ...(view.finalState === null ? [] : [JSON.stringify(view.finalState, null, 2)]),
      ].join('\n'));
    })));
}

function cancelCommand(): Command {
  return actingOptions(new Command('cancel'))
    .argument('<id>', 'id of the execution', parseId)
    .description('Cancel an execution: it is final at once, and what runs is told to stop.')
    .action(action<ActingOptions>((context, options, id) => actAs(context, options, async (acting) => {
      await acting.transaction((client) => cancelExecution(client, id));
      const view = await demandExecution(acting, id);
      context.answer(view, `Execution ${view.id} is ${view.status}.`);
    })));
}

interface RetryOptions extends ActingOptions {
  from?: string;
  follow?: boolean;
}

function retryCommand(): Command {
  return actingOptions(new Command('retry'))
    .argument('<id>', 'id of an execution that has ended', parseId)
    .option('--from <node>', 'run this node and what follows it again (default: the node that failed)')
    .option('--follow', 'show it until it ends')
    .description('Try again in a new execution, which takes over what was finished.')
    .action(action<RetryOptions>((context, options, id) => actAs(context, options, (acting) => withWorker(context, acting, options.follow === true, async () => {
      const retried = await acting.transaction((client) => retryExecution(client, id, options.from ?? null));
      if (options.follow) return tellEnd(context, await follow(context, acting, retried));
      context.answer(await demandExecution(acting, retried), `Execution ${retried} tries again what ${id} did.`);
      return 0;
    }))));
}

interface DecideOptions extends ActingOptions {
  comment?: string;
}

function decideCommand(): Command {
  return actingOptions(new Command('decide'))
    .argument('<id>', 'id of the execution', parseId)
    .argument('<node>', 'id of the approval node that waits')
    .addArgument(new Argument('<decision>', 'what was decided').choices(['approved', 'rejected']))
    .option('--comment <text>', 'why')
    .description('Decide what an approval node waits for.')
    .action(action<DecideOptions>((context, options, id, node, decision) => actAs(context, options, async (acting) => {
      await acting.transaction((client) => decideApproval(client, { executionId: id, nodeId: node, decision: decision, comment: options.comment ?? null }));
      context.answer({ executionId: id, nodeId: node, decision }, `${node} of execution ${id} is ${decision}.`);
    })));
}
