/** The case files of workflows, as the engine alone can drive them: a document, an initial state, what models answer, and what becomes of it. */
import { readFileSync, readdirSync } from 'node:fs';
import type { JsonObject } from '../../src/engine/types.ts';
import type { Script } from './engine-driver.ts';

export interface WorkflowCase extends Script {
  about: string;
  expect: {
    status: string;
    path?: string[];
    path_ends_with?: string[];
    runs?: Record<string, number>;
    node_status?: Record<string, string>;
    attempts?: Record<string, number>;
    state?: JsonObject;
    prompts?: Record<string, string>;
    error_node?: string;
    error_contains?: string;
    warnings?: string[];
  };
}

const folders = [new URL('../cases/', import.meta.url), new URL('../engine/cases/', import.meta.url)];

/** With their names. */
export const workflowCases = folders.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith('.json')).map((name): [string, WorkflowCase] => [
  name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as WorkflowCase,
]));
