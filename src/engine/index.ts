/** The public words of the engine. Pure: no I/O, no clock, no randomness. */
export { cappedLimits, defaultLimits, documentBounds } from './limits.ts';
export { dollars, roundedDollars, tokenCostUnits, unitsPerDollar, type Price } from './cost.ts';
export { diagramOf, dotOf, type NodePicture, type NodePictures } from './explain.ts';
export { finalState, metricsOf, type Metrics, type Times } from './metrics.ts';
export { flowContext, flowPlan, flowState, taskOutputKey, type FlowPlanOptions } from './flow.ts';
export { jsonCopy } from './json.ts';
export { normalise } from './normalise.ts';
export { outcomeOf, type NodeEnd, type Settled } from './outcome.ts';
export { parseDocument } from './parse.ts';
export { planOf } from './plan.ts';
export { restoreRun } from './restore.ts';
export { initialRun, step } from './step.ts';
export { loadSelectChecker } from './sql.ts';
export { validateSpec, type SourceRow, type ValidateOptions } from './validate.ts';
export type * from './types.ts';
