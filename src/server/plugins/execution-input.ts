/** The initial state, and the input context of a flow, is stored as a run sees it: without NUL and lone surrogates, which jsonb does not hold. */
import 'postgraphile';
import { context, type FieldArgs, lambda, list, type Step } from 'postgraphile/grafast';
import { wrapPlans } from 'postgraphile/utils';
import type { WorkflowTools } from '../workflow-tools.ts';

function normalised([tools, state]: readonly [WorkflowTools, unknown]): unknown {
  return state === undefined ? undefined : tools.normaliseState(state);
}

/** Of bulk starts: each one's state. What is no list of starts is left to GraphQL's own refusal. */
function allNormalised([tools, inputs]: readonly [WorkflowTools, unknown]): unknown {
  const one = (input: unknown): unknown => (typeof input === 'object' && input !== null && 'initialState' in input
    ? { ...input, initialState: normalised([tools, input.initialState]) } : input);
  return Array.isArray(inputs) ? inputs.map(one) : inputs;
}

function withNormalised(args: FieldArgs, argument: string, normalise: (given: readonly [WorkflowTools, unknown]) => unknown = normalised): FieldArgs {
  const getRaw = (path?: string | readonly (string | number)[]): Step => {
    const $raw = args.getRaw(path as never);
    return Array.isArray(path) && path.at(-1) === argument ? lambda(list([context().get('workflowTools'), $raw]), normalise as never) : $raw;
  };
  return Object.create(args, { getRaw: { value: getRaw } }) as FieldArgs;
}

export const ExecutionInputPlugin = wrapPlans({
  Mutation: {
    executeWorkflow: (plan, $root, args, info) => plan($root, withNormalised(args, 'initialState'), info),
    executeWorkflows: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputs', allNormalised), info),
    testNode: (plan, $root, args, info) => plan($root, withNormalised(args, 'state'), info),
    executeFlow: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputContext'), info),
  },
}, { name: 'ExecutionInputPlugin', disableResolverEmulationWarnings: true });
