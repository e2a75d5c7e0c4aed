/** Drives `step` in memory, with scripted answers in place of models: what a worker does, without waiting, a database or a network. */
import { AgentFlowError, NodeError } from '../../src/errors.ts';
import { initialRun, outcomeOf, planOf, restoreRun, step, type NodeEnd } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import type { JsonObject, LlmRequest, NodeContext, NodeOutcome, NodeStatus, NodeType, Plan, RunCommand, RunState, SourcePort } from '../../src/engine/types.ts';

export type Answer = string | { status: number; text?: string };

export interface Script {
  spec: unknown;
  initial_state: JsonObject;
  /** Per node: one answer for every try, or a list for one try after the other. */
  answers?: Record<string, Answer | Answer[]>;
}

export interface Driven {
  plan: Plan;
  state: RunState;
  /** In the order of finishing, skipped ones included. */
  outcomes: NodeOutcome[];
  runs: Record<string, number>;
  attempts: Record<string, number>;
  prompts: Record<string, string>;
  nodeStatus: Record<string, NodeStatus>;
  error: { code: string; message: string; nodeId: string | null } | null;
}

export interface DriveOptions {
  types?: readonly NodeType[];
  /** Which of the running nodes finishes next; the first when left out. */
  pick?: (running: readonly string[]) => string;
  /** Lose everything but the outcomes after this many events, and go on from them. */
  crashAfter?: number;
}

type RunNow = Extract<RunCommand, { type: 'run' }>;

export async function drive(script: Script, options: DriveOptions = {}): Promise<Driven> {
  const types = options.types ?? nodeTypes;
  const plan = planOf(script.spec, { nodeTypes: types, checkSelect: null });
  const driven: Driven = { plan, state: initialRun(plan, script.initial_state), outcomes: [], runs: {}, attempts: {}, prompts: {}, nodeStatus: {}, error: null };
  const open = new Map<string, RunNow>();
  const obey = (commands: RunCommand[]): void => commands.forEach((command) => take(command, open, driven));
  obey(step(plan, driven.state, { type: 'start' }).commands);
  for (let events = 1; open.size > 0; events += 1) {
    const [first] = open.keys();
    const command = open.get(options.pick?.([...open.keys()]) ?? (first as string)) as RunNow;
    const { nodeId } = command;
    open.delete(nodeId);
    const end = await runNode(command, types, script, driven);
    const { outcome } = outcomeOf(plan, driven.state, nodeId, end);
    driven.outcomes.push(structuredClone(outcome));
    obey(step(plan, driven.state, { type: 'node_finished', outcome }).commands);
    if (events !== options.crashAfter) continue;
    open.clear();
    const restored = restoreRun(plan, throughJsonb(script.initial_state), throughJsonb(shuffled(driven.outcomes)));
    driven.state = restored.state;
    obey(restored.commands);
  }
  driven.nodeStatus = Object.fromEntries([...driven.state.nodes].map(([id, { status }]) => [id, status]));
  return driven;
}

/** What the database would give back. */
function throughJsonb<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}

/** Rows come in no order. */
function shuffled<Value>(values: readonly Value[]): Value[] {
  return values.filter((_, i) => i % 2 === 1).concat(values.filter((_, i) => i % 2 === 0));
}

function take(command: RunCommand, open: Map<string, RunNow>, driven: Driven): void {
  switch (command.type) {
    case 'run': open.set(command.nodeId, command); break;
    case 'skip': driven.outcomes.push(structuredClone(command.outcome)); break;
    case 'finish': driven.error = command.error; break;
    case 'abort': break;
  }
}

async function runNode(command: RunNow, types: readonly NodeType[], script: Script, driven: Driven): Promise<NodeEnd> {
  const { nodeId } = command;
  const node = driven.plan.nodes.get(nodeId);
  const type = types.find((candidate) => candidate.type === node?.type);
  if (!node || !type) throw new Error(`no node ${nodeId}`);
  driven.runs[nodeId] = (driven.runs[nodeId] ?? 0) + 1;
  for (let attempt = 1; ; attempt += 1) {
    driven.attempts[nodeId] = attempt;
    const context: NodeContext = {
      node, parameters: node.parameters, state: command.data, outputs: command.outputs, attempt, idempotencyKey: nodeId, signal: new AbortController().signal,
      log: () => undefined, source: scriptedSource(nodeId, attempt, script, driven), resumedWith: undefined,
    };
    try {
      const result = await type.run(context);
      if (result.kind === 'done') return { status: 'completed', result };
      throw new Error(`node ${nodeId} waits, which this driver does not know`);
    } catch (error) {
      if (!(error instanceof AgentFlowError)) throw error;
      if (error instanceof NodeError && error.transient && attempt < node.retry.maxAttempts) continue;
      return { status: 'failed', error: { code: error.code, message: error.message } };
    }
  }
}

function scriptedSource(nodeId: string, attempt: number, script: Script, driven: Driven): SourcePort {
  let call = attempt;
  const refuse = (): never => {
    throw new Error(`nothing is scripted for ${nodeId} but a model`);
  };
  return {
    llm: async (request: LlmRequest) => {
      driven.prompts[nodeId] = request.prompt;
      const text = answerText(script.answers?.[nodeId], call, nodeId);
      call += 1;
      return { text, model: 'scripted', inputTokens: request.prompt.length, outputTokens: text.length, estimated: false, costUnits: text.length * 1_000, mock: true };
    },
    image: refuse, db: refuse, api: refuse,
  };
}

function answerText(answers: Answer | Answer[] | undefined, attempt: number, nodeId: string): string {
  const answer = Array.isArray(answers) ? answers[attempt - 1] : answers;
  if (answer === undefined) throw new Error(`no answer is scripted for try ${attempt} of ${nodeId}`);
  if (typeof answer === 'string') return answer;
  const transient = answer.status === 429 || answer.status >= 500;
  throw new NodeError(transient ? 'SOURCE_UNAVAILABLE' : 'SOURCE_FAILED', `the model answered ${answer.status}: ${answer.text ?? ''}`, { transient });
}

