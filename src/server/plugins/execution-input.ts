/** The initial state, and the input context of a flow, is stored as a run sees it: without NUL and lone surrogates, which jsonb does not hold. */
import 'postgraphile';
import { constant, context, type FieldArgs, lambda, list, operationPlan, type Step } from 'postgraphile/grafast';
import { wrapPlans } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import type { LoadWorkflowTools, WorkflowTools } from '../workflow-tools.ts';

type Given<Tools = WorkflowTools> = readonly [tools: Tools, value: unknown, argument: string];

function normalised([tools, state, field]: Given): unknown {
  if (state === undefined) return undefined;
  try {
    return tools.normaliseState(state);
  } catch (error) {
    if (!(error instanceof AgentFlowError)) throw error;
    throw new AgentFlowError(error.code, `${field}: ${error.message}.`, { remedy: error.remedy, details: { ...error.details, field }, cause: error });
  }
}

/** Of bulk starts: each one's `state`. What is no list of starts is left to GraphQL's own refusal. */
function allNormalised(state: string): (given: Given) => unknown {
  return ([tools, inputs]) => {
    const one = (input: unknown): unknown => (typeof input === 'object' && input !== null && state in input
      ? { ...input, [state]: normalised([tools, (input as Record<string, unknown>)[state], state]) } : input);
    return Array.isArray(inputs) ? inputs.map(one) : inputs;
  };
}

const workflowStarts = allNormalised('initialState');
const flowStarts = allNormalised('inputContext');

/** The tools are waited for first. */
function loaded(normalise: (given: Given) => unknown): (given: Given<LoadWorkflowTools>) => Promise<unknown> {
  return async ([tools, value, argument]) => normalise([await tools(), value, argument]);
}

function withNormalised(args: FieldArgs, argument: string, normalise: (given: Given) => unknown = normalised): FieldArgs {
  const loadedNormalise = loaded(normalise);
  const getRaw = (path?: string | readonly (string | number)[]): Step => {
    const $raw = args.getRaw(path as never);
    return Array.isArray(path) && path.at(-1) === argument ? operationPlan().withRootLayerPlan(() => lambda(list([context().get('workflowTools'), $raw, constant(argument)]), loadedNormalise as never)) : $raw;
  };
  return Object.create(args, { getRaw: { value: getRaw } }) as FieldArgs;
}

export const ExecutionInputPlugin = wrapPlans({
  Mutation: {
    executeWorkflow: (plan, $root, args, info) => plan($root, withNormalised(args, 'initialState'), info),
    executeWorkflows: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputs', workflowStarts), info),
    testNode: (plan, $root, args, info) => plan($root, withNormalised(args, 'state'), info),
    executeFlow: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputContext'), info),
    executeFlows: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputs', flowStarts), info),
  },
}, { name: 'ExecutionInputPlugin', disableResolverEmulationWarnings: true });
