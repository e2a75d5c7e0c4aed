/** Follows one execution to its end: woken by what PostgreSQL tells, and looking by itself every second in case it was not told. */
import { Command } from 'commander';
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import { hasLivingWorker, readExecution, type ExecutionView } from '../../store/execution-rows.ts';
import { actAs, actingOptions, type Acting, type ActingOptions } from '../acting.ts';
import { action, exitCodes, type Context } from '../context.ts';
import { parseId } from '../ids.ts';
import { executionWords, liveProgress, plainProgress, silentProgress, type Progress, type ProgressWords } from './progress.ts';

const lookEveryMs = 1_000;
/** After this long without a start, is there anybody who could start it? */
const askForWorkerMs = 5_000;

export function followCommand(): Command {
  return actingOptions(new Command('follow'))
    .argument('<id>', 'id of the execution', parseId)
    .description('Show an execution while it runs, node by node, until it ends. Exit code 1 when it did not complete.')
    .action(action<ActingOptions>((context, options, id) => actAs(context, options, async (acting) => {
      const view = await follow(context, acting, id);
      return tellEnd(context, view);
    })));
}

/** @throws AgentFlowError NOT_FOUND */
export function follow(context: Context, acting: Acting, id: string): Promise<ExecutionView> {
  return followUntilOver(context, acting, { topic: id, read: () => demandExecution(acting, id), isPending: ({ status }) => status === 'pending', words: executionWords });
}

export interface Followed<View> {
  /** The id that is told when it changes. */
  topic: string;
  read(): Promise<View>;
  isPending(view: View): boolean;
  words: ProgressWords<View>;
}

export async function followUntilOver<View>(context: Context, acting: Acting, { topic, read, isPending, words }: Followed<View>): Promise<View> {
  const alarm = new Alarm(await acting.connect(), topic);
  await alarm.set();
  const progress = progressFor(context, words);
  const started = performance.now();
  let asked = false;
  try {
    for (;;) {
      const view = await read();
      progress.show(view);
      if (words.isOver(view)) return view;
      if (!asked && isPending(view) && performance.now() - started > askForWorkerMs) {
        asked = true;
        if (!await alarm.workerLives()) context.say('No worker runs: start one with agentflow worker, or everything with agentflow start.');
      }
      await alarm.wait(lookEveryMs);
    }
  } finally {
    progress.end();
  }
}

/** The final state, and the exit code that says whether it completed. */
export function tellEnd(context: Context, view: ExecutionView): number {
  context.answer(view, JSON.stringify(view.finalState, null, 2));
  return view.status === 'completed' ? exitCodes.ok : exitCodes.failure;
}

export async function demandExecution({ transaction }: Acting, id: string): Promise<ExecutionView> {
  const view = await transaction((client) => readExecution(client, id));
  if (view) return view;
  throw new AgentFlowError('NOT_FOUND', `There is no execution ${id}.`, { remedy: 'agentflow execution list shows the latest.' });
}

function progressFor<View>(context: Context, words: ProgressWords<View>): Progress<View> {
  if (context.json) return silentProgress;
  return process.stderr.isTTY ? liveProgress(process.stderr, words) : plainProgress(context.say, words);
}

/** Rings when PostgreSQL says that the execution changed. */
class Alarm {
  readonly #client: pg.Client;
  readonly #id: string;
  #rings = false;
  #wake: (() => void) | null = null;

  constructor(client: pg.Client, id: string) {
    this.#client = client;
    this.#id = id;
  }

  async set(): Promise<void> {
    this.#client.on('notification', ({ payload = '' }) => {
      if (!payload.includes(this.#id)) return;
      this.#rings = true;
      this.#wake?.();
    });
    await this.#client.query('listen agentflow');
  }

  /** Until it rings, or the time is up. */
  async wait(ms: number): Promise<void> {
    if (!this.#rings) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = null;
    this.#rings = false;
  }

  workerLives(): Promise<boolean> {
    return hasLivingWorker(this.#client);
  }
}
