/** The list of node types. Adding one: write its file, add it here. */
import { aggregator } from './aggregator.ts';
import { api } from './api.ts';
import { approval } from './approval.ts';
import { db } from './db.ts';
import { delay } from './delay.ts';
import { image } from './image.ts';
import { input } from './input.ts';
import { llm } from './llm.ts';
import { router } from './router.ts';
import { transform } from './transform.ts';
import { workflow } from './workflow.ts';
import type { NodeType } from '../engine/types.ts';

export const nodeTypes: readonly NodeType[] = [input, router, llm, image, db, api, aggregator, transform, delay, approval, workflow];
