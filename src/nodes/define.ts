/** A node type with as little as it must say. */
import type { NodeType } from '../engine/types.ts';

/** What a node type must say; the rest has defaults. */
export type GivenType = Pick<NodeType, 'type' | 'summary' | 'run'> & Partial<NodeType>;

/** Where a node type says nothing it may reach outside, works on no source, takes any parameters and writes to `<type>_result`. */
export function defineNode(given: GivenType): NodeType {
  return {
    parameters: { type: 'object' }, sourceKind: null, sourceRequired: false, hasEffect: () => true, defaultOutputKey: () => `${given.type}_result`, example: {}, ...given,
  };
}
