/** The UUID by which the engine knows a flow execution: as app_private.flow_run_id makes it. */

const shape = /^00000000-([0-9a-f]{4})-8000-8000-([0-9a-f]{12})$/;

export function flowRunId(flowExecutionId: string): string {
  const hex = BigInt.asUintN(64, BigInt(flowExecutionId)).toString(16).padStart(16, '0');
  return `00000000-${hex.slice(0, 4)}-8000-8000-${hex.slice(4)}`;
}

/** Is this the id of a flow execution, and not of an execution of a workflow? */
export function isFlowRunId(id: string): boolean {
  return shape.test(id);
}
