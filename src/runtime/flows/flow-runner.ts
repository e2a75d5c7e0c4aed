/** The flow executions of a worker process: from the claim to what drives it. */
import type { Execution } from '../execution.ts';
import { flowPlan } from '../../engine/index.ts';
import type { JsonObject, Plan } from '../../engine/types.ts';
import type { ClaimedFlow } from '../../store/flow-rows.ts';
import { flowExecution, type FlowWorld } from './flow-run.ts';

const maxPlans = 500;

export class FlowRunner {
  readonly #flows: FlowWorld;
  /** By definition: equal ones share a plan. */
  readonly #plans = new Map<string, Plan>();

  constructor(flows: FlowWorld) {
    this.#flows = flows;
  }

  execution(claim: ClaimedFlow): Execution {
    return flowExecution(claim, this.#planOf(claim.definition), this.#flows);
  }

  /** Ends a flow execution of which nothing can be run. */
  async fail(claim: ClaimedFlow, { code, message }: { code: string; message: string }): Promise<void> {
    const tasksExecuted = Math.max(0, ...(claim.tasks ?? []).map(({ sequence_number: sequence }) => sequence));
    const task = claim.tasks?.find(({ sequence_number: sequence }) => sequence === tasksExecuted)?.task_name ?? null;
    await this.#flows.store.finish(claim, [], { status: 'FAILURE', outputData: null, tasksExecuted, error: { code, message, task } });
  }

  #planOf(definition: string): Plan {
    const known = this.#plans.get(definition);
    if (known !== undefined) return known;
    const { registry } = this.#flows;
    const plan = flowPlan(JSON.parse(definition) as JsonObject, {
      isRegistered: (task) => registry.find(task) !== null,
      isPure: (task) => registry.find(task)?.isPure ?? false,
    });
    this.#plans.set(definition, plan);
    if (this.#plans.size > maxPlans) this.#plans.delete(this.#plans.keys().next().value!);
    return plan;
  }
}
