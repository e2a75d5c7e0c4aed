/** Drives `step` in memory, with scripted answers in place of models: what a worker does, without waiting, a database or a network. */
import { AgentFlowError, NodeError } from '../../src/errors.ts';
import { initialRun, outcomeOf, planOf, restoreRun, step, type NodeEnd } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import type { Json, JsonObject, LlmRequest, NodeContext, NodeOutcome, NodeStatus, NodeType, NodeWaits, Plan, RunCommand, RunState, SourcePort } from '../../src/engine/types.ts';

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
  /** What each node has asked its source for. */
  asked: Record<string, unknown>;
  nodeStatus: Record<string, NodeStatus>;
  error: { code: string; message: string; nodeId: string | null } | null;
  /** Whether the engine has said that it is over. */
  isOver: boolean;
}

export interface DriveOptions {
  types?: readonly NodeType[];
  /** Which of the running nodes finishes next; the first when left out. */
  pick?: (running: readonly string[]) => string;
  /** Lose everything but the first so many outcomes, those of skipped nodes included, once there are as many, and go on from them. */
  crashAfter?: number;
}

type RunNow = Extract<RunCommand, { type: 'run' }>;

export async function drive(script: Script, options: DriveOptions = {}): Promise<Driven> {
  const types = options.types ?? nodeTypes;
  const plan = planOf(script.spec, { nodeTypes: types, checkSelect: null });
  const driven: Driven = { plan, state: initialRun(plan, script.initial_state), outcomes: [], runs: {}, attempts: {}, asked: {}, nodeStatus: {}, error: null, isOver: false };
  const open = new Map<string, RunNow>();
  const obey = (commands: RunCommand[]): void => commands.forEach((command) => take(command, open, driven));
  obey(step(plan, driven.state, { type: 'start' }).commands);
  let hasCrashed = false;
  while (open.size > 0) {
    const [first] = open.keys();
    const command = open.get(options.pick?.([...open.keys()]) ?? (first as string)) as RunNow;
    const { nodeId } = command;
    open.delete(nodeId);
    const end = await runNode(command, types, script, driven);
    const { outcome } = outcomeOf(plan, driven.state, nodeId, end);
    driven.outcomes.push(structuredClone(outcome));
    obey(step(plan, driven.state, { type: 'node_finished', outcome }).commands);
    if (hasCrashed || options.crashAfter === undefined || driven.outcomes.length < options.crashAfter) continue;
    hasCrashed = true;
    open.clear();
    driven.outcomes.length = options.crashAfter;
    [driven.error, driven.isOver] = [null, false];
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
    case 'finish': [driven.error, driven.isOver] = [command.error, true]; break;
    case 'abort': break;
  }
}

async function runNode(command: RunNow, types: readonly NodeType[], script: Script, driven: Driven): Promise<NodeEnd> {
  const { nodeId } = command;
  const node = driven.plan.nodes.get(nodeId);
  const type = types.find((candidate) => candidate.type === node?.type);
  if (!node || !type) throw new Error(`no node ${nodeId}`);
  driven.runs[nodeId] = (driven.runs[nodeId] ?? 0) + 1;
  let resumedWith: Json | undefined;
  for (let attempt = 1; ; attempt += 1) {
    driven.attempts[nodeId] = attempt;
    const context: NodeContext = {
      node, parameters: node.parameters, state: command.data, outputs: command.outputs, attempt, idempotencyKey: nodeId, signal: new AbortController().signal,
      log: () => undefined, source: scriptedSource(nodeId, attempt, script, driven), resumedWith,
    };
    try {
      const result = await type.run(context);
      if (result.kind === 'done') return { status: 'completed', result };
      resumedWith = whatComes(result, script.answers?.[nodeId]);
      attempt -= 1;
    } catch (error) {
      if (!(error instanceof AgentFlowError)) throw error;
      if (error instanceof NodeError && error.transient && attempt < node.retry.maxAttempts) continue;
      return { status: 'failed', error: { code: error.code, message: error.message } };
    }
  }
}

/** What a node has waited for: a failure is a refusal. */
function whatComes({ reason }: NodeWaits, answer: Answer | Answer[] | undefined): Json {
  const isFine = typeof answer === 'string';
  if (reason === 'approval') return { decision: isFine ? 'approved' : 'rejected', comment: null, decided_by: 'somebody', decided_at: '2026-01-31T12:00:00Z' };
  return reason === 'child' ? { status: isFine ? 'completed' : 'failed', final_state: { text: isFine ? answer : null }, error_message: isFine ? null : 'no' } : null;
}

function scriptedSource(nodeId: string, attempt: number, script: Script, driven: Driven): SourcePort {
  let call = attempt;
  const answerTo = (asked: unknown): string => {
    driven.asked[nodeId] = asked;
    const text = answerText(script.answers?.[nodeId], call, nodeId);
    call += 1;
    return text;
  };
  return {
    llm: async (request: LlmRequest) => {
      const text = answerTo(request.prompt);
      return { text, model: 'scripted', inputTokens: request.prompt.length, outputTokens: text.length, estimated: false, costUnits: text.length * 1_000, mock: true };
    },
    image: async (request) => ({ url: `https://pictures.example/${answerTo(request)}`, bytes: null, mediaType: null, model: 'scripted', costUnits: 5_000 }),
    db: async (request) => ({ rows: [{ answer: answerTo(request) }], truncated: false }),
    api: async (request) => ({ status: 200, headers: {}, body: { answer: answerTo(request) } }),
  };
}

function answerText(answers: Answer | Answer[] | undefined, attempt: number, nodeId: string): string {
  const answer = Array.isArray(answers) ? answers[attempt - 1] : answers;
  if (answer === undefined) throw new Error(`no answer is scripted for try ${attempt} of ${nodeId}`);
  if (typeof answer === 'string') return answer;
  const transient = answer.status === 429 || answer.status >= 500;
  throw new NodeError(transient ? 'SOURCE_UNAVAILABLE' : 'SOURCE_FAILED', `the model answered ${answer.status}: ${answer.text ?? ''}`, { transient });
}

