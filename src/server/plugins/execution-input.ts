/** The initial state, and the input context of a flow, is stored as a run sees it: without NUL and lone surrogates, which jsonb does not hold. */
import 'postgraphile';
import { context, type FieldArgs, lambda, list, type Step } from 'postgraphile/grafast';
import { wrapPlans } from 'postgraphile/utils';
import type { WorkflowTools } from '../workflow-tools.ts';

function normalised([tools, state]: readonly [WorkflowTools, unknown]): unknown {
  return state === undefined ? undefined : tools.normaliseState(state);
}

function withNormalised(args: FieldArgs, argument: string): FieldArgs {
  const getRaw = (path?: string | readonly (string | number)[]): Step => {
    const $raw = args.getRaw(path as never);
    return Array.isArray(path) && path.at(-1) === argument ? lambda(list([context().get('workflowTools'), $raw]), normalised as never) : $raw;
  };
  return Object.create(args, { getRaw: { value: getRaw } }) as FieldArgs;
}

export const ExecutionInputPlugin = wrapPlans({
  Mutation: {
    executeWorkflow: (plan, $root, args, info) => plan($root, withNormalised(args, 'initialState'), info),
    testNode: (plan, $root, args, info) => plan($root, withNormalised(args, 'state'), info),
    executeFlow: (plan, $root, args, info) => plan($root, withNormalised(args, 'inputContext'), info),
  },
}, { name: 'ExecutionInputPlugin', disableResolverEmulationWarnings: true });
