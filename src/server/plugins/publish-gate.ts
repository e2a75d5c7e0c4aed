/**
 * The rules that the database cannot check (expressions, statements, parameters) hold for what is published through the API, too:
 * when it is published, and when a published workflow is edited. Whether the caller may do that at all is left to the database to say.
 */
import 'postgraphile';
import type { PgExecutorContext } from 'postgraphile/@dataplan/pg';
import { constant, context, sideEffect, type Step } from 'postgraphile/grafast';
import { wrapPlans } from 'postgraphile/utils';
import { readPublishable } from '../../store/workflow-checks.ts';
import { demandValid, type LoadWorkflowTools, validateAll } from '../workflow-tools.ts';

type Caller = PgExecutorContext<Record<string, string>>;

/** Throws INVALID_WORKFLOW. The document is the one given, or else the one that is stored. */
async function demandPublishable({ caller, tools, id, isEdit, spec }: { caller: Caller; tools: LoadWorkflowTools; id: string; isEdit: boolean; spec?: unknown }): Promise<void> {
  if (isEdit && spec == null) return;
  await caller.withPgClient(caller.pgSettings, async (client) => {
    const workflow = await readPublishable(client, id);
    if (!workflow?.may_publish || (isEdit && workflow.status !== 'published')) return;
    const [validation] = await validateAll(client, await tools(), [isEdit ? spec : workflow.spec]);
    demandValid(validation!);
  });
}

export const PublishGatePlugin = wrapPlans((build) => {
  const { executor } = build.pgResources!.workflows!;
  const gate = ($id: Step, isEdit: boolean, $spec: Step | undefined): void => {
    const caller = executor.context();
    sideEffect({ caller, tools: context().get('workflowTools'), id: $id, isEdit: constant(isEdit), ...($spec ? { spec: $spec } : null) }, demandPublishable as never);
  };
  return {
    Mutation: {
      publishWorkflow(plan, _$root, args) {
        gate(args.getRaw(['input', 'id']), false, undefined);
        return plan();
      },
      updateWorkflow(plan, _$root, args) {
        gate(args.getRaw(['input', 'id']), true, args.getRaw(['input', 'patch', 'spec']));
        return plan();
      },
    },
  };
}, { name: 'PublishGatePlugin', disableResolverEmulationWarnings: true });
