/** The initial state is stored as a run sees it: without NUL and lone surrogates, which jsonb does not hold. */
import 'postgraphile';
import { context, type FieldArgs, lambda, list, type Step } from 'postgraphile/grafast';
import { wrapPlans } from 'postgraphile/utils';
import type { WorkflowTools } from '../workflow-tools.ts';

function normalised([tools, state]: readonly [WorkflowTools, unknown]): unknown {
  return state === undefined ? undefined : tools.normaliseState(state);
}

export const ExecutionInputPlugin = wrapPlans({
  Mutation: {
    executeWorkflow(plan, $root, args, info) {
      const getRaw = (path?: string | readonly (string | number)[]): Step => {
        const $raw = args.getRaw(path as never);
        return Array.isArray(path) && path.at(-1) === 'initialState' ? lambda(list([context().get('workflowTools'), $raw]), normalised as never) : $raw;
      };
      return plan($root, Object.create(args, { getRaw: { value: getRaw } }) as FieldArgs, info);
    },
  },
}, { name: 'ExecutionInputPlugin', disableResolverEmulationWarnings: true });
