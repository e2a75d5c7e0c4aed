/** The list of node types. Adding one: write its file, add it here. */
import { aggregator } from './aggregator.ts';
import { input } from './input.ts';
import { llm } from './llm.ts';
import { router } from './router.ts';
import { transform } from './transform.ts';
import type { NodeType } from '../engine/types.ts';

export const nodeTypes: readonly NodeType[] = [input, router, llm, aggregator, transform];
