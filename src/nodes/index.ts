/**
 * The node types that there are: one for each file of this folder that exports one, and those that extensions bring.
 * Adding one is writing its file: docs/how-to/add-a-node.md.
 */
import { loadNodeTypes } from './load.ts';
import type { NodeType } from '../engine/types.ts';

export const nodeTypes: readonly NodeType[] = await loadNodeTypes(import.meta.dirname);
