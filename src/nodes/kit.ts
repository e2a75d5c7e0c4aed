/** What a node type of your own may import, as `agentflow/nodes`: its shape, its failures, and what the node types here share. */
export { NodeError } from '../errors.ts';
export { defineNode } from './define.ts';
export { fillTemplate, fillValue } from '../engine/template.ts';
export { filled, missingWarnings, numberParameter, scopeOf, sourceOf, stateValue, textParameter, textsParameter } from './shared.ts';
export type { Json, JsonObject, NodeContext, NodeDone, NodeResult, NodeType, NodeWaits, Problem, SourceKind, SourcePort } from '../engine/types.ts';
