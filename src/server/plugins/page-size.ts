/** Connections give 20 rows unless asked, and never more than 100 at a time, wherever they are nested. */
import 'postgraphile';
import { type ConnectionStep, lambda, list, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { AgentFlowError } from '../../errors.ts';
import { defaultPageSize, maxPageSize } from '../limits.ts';

type Size = number | null | undefined;

/** Throws LIMIT_EXCEEDED or BAD_REQUEST. */
function checkedSize(name: string, size: Size): number | null {
  if (size == null) return null;
  if (size < 0) throw new AgentFlowError('BAD_REQUEST', `${name} is ${size}; it must not be negative.`, { details: { field: name } });
  if (size > maxPageSize) {
    throw new AgentFlowError('LIMIT_EXCEEDED', `${name} is ${size}; at most ${maxPageSize} rows are given at a time.`, {
      remedy: 'Ask for a smaller page and go on with after: pageInfo.endCursor.', details: { field: name },
    });
  }
  return size;
}

export function pageFirst(first: Size, last: Size): number | null {
  if (first != null && last != null) throw new AgentFlowError('BAD_REQUEST', 'Give first or last, not both.', { details: { field: 'first' } });
  return checkedSize('first', first) ?? (last == null ? defaultPageSize : null);
}

export function pageLast(last: Size): number | null {
  return checkedSize('last', last);
}

/** Throws BAD_REQUEST. */
function pageOffset(offset: Size): number | null {
  if (offset != null && offset < 0) throw new AgentFlowError('BAD_REQUEST', `offset is ${offset}; it must not be negative.`, { details: { field: 'offset' } });
  return offset ?? null;
}

type Paged = Pick<ConnectionStep<Step, Step>, 'setFirst' | 'setLast' | 'setOffset'>;

function setPage($connection: Paged, $first: Step, $last: Step | null, $offset: Step | null): void {
  if ($offset) $connection.setOffset(lambda($offset, (offset) => pageOffset(offset as Size), true) as Step<number>);
  $connection.setFirst(lambda(list([$first, ...($last ? [$last] : [])]), ([first, last]) => pageFirst(first as Size, last as Size), true) as Step<number>);
  if ($last) $connection.setLast(lambda($last, (last) => pageLast(last as Size), true) as Step<number>);
}

function planless<T extends object>({ applyPlan: _, ...argument }: T & { applyPlan?: unknown }): Omit<T, 'applyPlan'> {
  return argument;
}

export const PageSizePlugin: GraphileConfig.Plugin = {
  name: 'PageSizePlugin',
  version: '1.0.0',
  after: ['PgFirstLastBeforeAfterArgsPlugin'],
  schema: {
    hooks: {
      GraphQLObjectType_fields_field_args(args, _build, context) {
        if (!context.scope.isPgFieldConnection || !args.first) return args;
        // They are set in the field's plan, where one can see the other.
        const { first, last, offset } = args;
        return { ...args, first: planless(first), ...(last ? { last: planless(last) } : null), ...(offset ? { offset: planless(offset) } : null) };
      },
      GraphQLObjectType_fields_field(field, build, context) {
        const { isPgFieldConnection, pgFieldResource } = context.scope;
        if (!isPgFieldConnection || !pgFieldResource || !field.plan) return field;
        const canGoBackwards = build.behavior.pgResourceMatches(pgFieldResource, 'resource:connection:backwards') === true;
        const { plan } = field;
        return {
          ...field,
          plan: EXPORTABLE((plan, setPage, canGoBackwards) => function pagedPlan($parent, args, info) {
            const $connection = plan($parent, args, info);
            setPage($connection as Paged, args.getRaw('first'), canGoBackwards ? args.getRaw('last') : null, info.field.args.some(({ name }) => name === 'offset') ? args.getRaw('offset') : null);
            return $connection;
          }, [plan, setPage, canGoBackwards]),
        };
      },
    },
  },
};
