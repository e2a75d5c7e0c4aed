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
  readonly #plans = new Map<string, { flowId: string; plan: Plan }>();

  constructor(flows: FlowWorld) {
    this.#flows = flows;
  }

  execution(claim: ClaimedFlow): Execution {
    const { flowId, plan } = this.#planOf(claim.definition);
    return flowExecution(claim, flowId, plan, this.#flows);
  }

  #planOf(definition: string): { flowId: string; plan: Plan } {
    const known = this.#plans.get(definition);
    if (known !== undefined) return known;
    const { registry } = this.#flows;
    const document = JSON.parse(definition) as JsonObject;
    const plan = flowPlan(document, {
      isRegistered: (task) => registry.find(task) !== null,
      isPure: (task) => registry.find(task)?.isPure ?? false,
    });
    const planned = { flowId: String(document.id), plan };
    this.#plans.set(definition, planned);
    if (this.#plans.size > maxPlans) this.#plans.delete(this.#plans.keys().next().value!);
    return planned;
  }
}
