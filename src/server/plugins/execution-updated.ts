/**
 * `subscription executionUpdated(id)`. Whether the execution is there for the subscriber is asked of the database, as the subscriber,
 * before anything is listened to; the topic holds the subscriber's own tenant; and each event reads the row again under its policies.
 */
import 'postgraphile';
import { context, type FieldArgs, lambda, list, listen, object, type ObjectStep, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import { topicOf } from '../events.ts';

/** Throws UNAUTHENTICATED or NOT_FOUND. */
export function topicOrRefusal([tenantId, visibleId]: readonly [string | null, string | null]): string {
  if (tenantId === null) throw new AgentFlowError('UNAUTHENTICATED');
  if (visibleId === null) throw new AgentFlowError('NOT_FOUND', undefined, { details: { field: 'id' } });
  return topicOf(tenantId, visibleId);
}

export const ExecutionUpdatedPlugin = extendSchema((build) => {
  const executions = build.pgResources.executions;
  if (!executions) throw new Error('There is no resource for the table executions');
  return {
    typeDefs: gql`
      """An execution that has just changed."""
      type ExecutionUpdatedPayload {
        """The execution as it is now."""
        execution: Execution
      }
      extend type Subscription {
        """The execution at once, and again after each change of it or of its nodes. Changes in quick succession may come as one."""
        executionUpdated(id: UUID!): ExecutionUpdatedPayload
      }
    `,
    objects: {
      Subscription: {
        plans: {
          executionUpdated: {
            subscribePlan: EXPORTABLE((context, executions, lambda, list, listen, object, topicOrRefusal) => (_$root: Step, args: FieldArgs) => {
              const $id = args.getRaw('id');
              const $visibleId = executions.get({ id: $id }).get('id');
              const $topic = lambda(list([context().get('tenantId'), $visibleId]), topicOrRefusal as never) as Step<string>;
              return listen(context().get('executionEvents') as never, $topic, () => object({ id: $id }));
            }, [context, executions, lambda, list, listen, object, topicOrRefusal]) as never,
            plan: EXPORTABLE(() => ($event: Step) => $event, []) as never,
          },
        },
      },
      ExecutionUpdatedPayload: {
        plans: {
          execution: EXPORTABLE((executions) => ($event: ObjectStep<{ id: Step }>) => executions.get({ id: $event.get('id') }), [executions]) as never,
        },
      },
    },
  };
}, 'ExecutionUpdatedPlugin');
