/**
 * `subscription executionUpdated(id)`. Whether the execution is there for the subscriber is asked of the database, as the subscriber,
 * before anything is listened to; the topic holds the subscriber's own tenant; and each event reads the row again under its policies. With the
 * final state of the execution the subscription is complete.
 */
import 'postgraphile';
import { context, type FieldArgs, lambda, list, listen, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import { topicOf, type Told } from '../events.ts';

/** Throws UNAUTHENTICATED or NOT_FOUND. */
export function topicOrRefusal([tenantId, visibleId]: readonly [string | null, string | null]): string {
  if (tenantId === null) throw new AgentFlowError('UNAUTHENTICATED');
  if (visibleId === null) throw new AgentFlowError('NOT_FOUND', undefined, { details: { field: 'id' } });
  return topicOf(tenantId, visibleId);
}

/** Of executions, and of flow executions. */
const finalStatuses = new Set(['completed', 'failed', 'cancelled', 'success', 'failure']);

/** Ends the subscription with the event that tells a final state. */
export function endWith([status, told]: readonly [string | null, Told]): void {
  if (status !== null && finalStatuses.has(status.toLowerCase())) told.last();
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
        """The execution at once, and again after each change of it or of its nodes. Changes in quick succession may come as one. Complete when it has told the end of the execution."""
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
              return listen(context().get('executionEvents') as never, $topic, ($told: Step) => object({ id: $id, told: $told }));
            }, [context, executions, lambda, list, listen, object, topicOrRefusal]) as never,
            plan: EXPORTABLE((endWith, executions, list, object, sideEffect) => ($event: ObjectStep<{ id: Step; told: Step }>) => {
              const $execution = executions.get({ id: $event.get('id') });
              sideEffect(list([$execution.get('status'), $event.get('told')]), endWith as never);
              return object({ execution: $execution });
            }, [endWith, executions, list, object, sideEffect]) as never,
          },
        },
      },
      ExecutionUpdatedPayload: {
        plans: {
          execution: EXPORTABLE(() => ($payload: ObjectStep<{ execution: Step }>) => $payload.get('execution'), []) as never,
        },
      },
    },
  };
}, 'ExecutionUpdatedPlugin');
