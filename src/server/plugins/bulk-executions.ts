/**
 * `cancelExecutions` and `retryExecutions`: of the executions that a filter finds, as the caller sees them. What is found is bounded; the change
 * itself is one SQL function, which looks at everything again under its locks.
 */
import 'postgraphile';
import { PgCondition, type PgExecutorContext, type PgSelectStep } from 'postgraphile/@dataplan/pg';
import { access, constant, each, type FieldArgs, lambda, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import { type BulkChange, candidates, changeExecutions } from '../../store/bulk-executions.ts';
import type { ReadingClient } from '../../store/workflow-checks.ts';

const maxChanged = 1_000;

interface Call {
  caller: PgExecutorContext<Record<string, string>>;
  change: BulkChange;
  /** Found by the filter: one more than wanted when there are more. */
  found: readonly string[];
  limit: number;
}

/** Throws LIMIT_EXCEEDED or BAD_REQUEST. */
function checkedLimit(limit: number | null | undefined): number {
  const wanted = limit ?? maxChanged;
  if (wanted > maxChanged) throw new AgentFlowError('LIMIT_EXCEEDED', `At most ${maxChanged} executions can be changed at a time.`, { details: { field: 'limit' } });
  if (wanted < 1) throw new AgentFlowError('BAD_REQUEST', 'limit must be at least 1.', { details: { field: 'limit' } });
  return wanted;
}

async function changeFound({ caller, change, found, limit }: Call): Promise<{ ids: string[]; hasMore: boolean }> {
  const ids = await caller.withPgClient(caller.pgSettings, (client) => changeExecutions(client as ReadingClient, change, found.slice(0, limit)));
  return { ids, hasMore: found.length > limit };
}

const typeDefs = gql`
  """Which executions to cancel."""
  input CancelExecutionsInput {
    clientMutationId: String
    """As in \`executions(filter:)\`. Those that are over are not looked at; {} finds all others."""
    filter: ExecutionFilter!
    """How many at most, the oldest first; 1,000 unless given, and no more."""
    limit: Int
  }
  """What was cancelled."""
  type CancelExecutionsPayload {
    clientMutationId: String
    """How many were cancelled."""
    count: Int!
    """The filter finds more than were looked at: call again."""
    hasMore: Boolean!
    """Those that were cancelled."""
    executions: [Execution!]!
  }
  """Which executions to repeat."""
  input RetryExecutionsInput {
    clientMutationId: String
    """As in \`executions(filter:)\`. Only those that failed or were cancelled, and that nobody has repeated yet, are looked at."""
    filter: ExecutionFilter!
    """How many at most, the oldest first; 1,000 unless given, and no more."""
    limit: Int
  }
  """What was repeated."""
  type RetryExecutionsPayload {
    clientMutationId: String
    """How many were repeated. Those whose workflow cannot be executed any more are left out."""
    count: Int!
    """The filter finds more than were looked at: call again."""
    hasMore: Boolean!
    """The new executions."""
    executions: [Execution!]!
  }
  extend type Mutation {
    """Cancels all executions that a filter finds, and the executions that they started: up to 1,000 at a time, as one."""
    cancelExecutions(input: CancelExecutionsInput!): CancelExecutionsPayload
    """Repeats all failed and cancelled executions that a filter finds, as new ones: up to 1,000 at a time, as one. Called again, it repeats none a second time."""
    retryExecutions(input: RetryExecutionsInput!): RetryExecutionsPayload
  }
`;

export const BulkExecutionsPlugin = extendSchema((build) => {
  const { executions } = build.pgResources;
  if (!executions) throw new Error('There is no resource for the table executions');
  const { executor } = executions;
  const { sql } = build;
  const planOf = (change: BulkChange): never => {
    return EXPORTABLE((PgCondition, access, candidates, change, changeFound, checkedLimit, constant, each, executions, executor, lambda, object, sideEffect, sql) => (_$root: Step, args: FieldArgs) => {
      const $limit = lambda(args.getRaw(['input', 'limit']), checkedLimit as never, true) as Step<number>;
      const $select = executions.find() as PgSelectStep;
      args.apply($select, ['input', 'filter'], ((parent: never, value: unknown) => (value == null ? undefined : new PgCondition(parent))) as never);
      $select.where(candidates(sql, change, $select.alias));
      $select.orderBy({ attribute: 'created_at', direction: 'ASC' });
      $select.orderBy({ attribute: 'id', direction: 'ASC' });
      $select.setOrderIsUnique();
      $select.setFirst(lambda($limit, (limit) => limit + 1, true));
      const $found = each($select, ($row) => ($row as unknown as { get(name: string): Step }).get('id'));
      const $outcome = sideEffect(object({ caller: executor.context(), change: constant(change), found: $found, limit: $limit }), changeFound as never);
      return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), ids: access($outcome, 'ids'), hasMore: access($outcome, 'hasMore') });
    }, [PgCondition, access, candidates, change, changeFound, checkedLimit, constant, each, executions, executor, lambda, object, sideEffect, sql]) as never;
  };
  const payload = {
    plans: {
      count: EXPORTABLE((lambda) => ($payload: ObjectStep<{ ids: Step }>) => lambda($payload.get('ids'), (ids) => (ids as string[]).length, true), [lambda]) as never,
      executions: EXPORTABLE((each, executions) => ($payload: ObjectStep<{ ids: Step }>) => each($payload.get('ids') as never, ($id: Step) => executions.get({ id: $id as never })), [each, executions]) as never,
    },
  };
  return {
    typeDefs,
    objects: {
      Mutation: { plans: { cancelExecutions: planOf('cancel'), retryExecutions: planOf('retry') } },
      CancelExecutionsPayload: payload,
      RetryExecutionsPayload: payload,
    },
  };
}, 'BulkExecutionsPlugin');
