/** JSON Schema (2020-12) of flow definitions, for editors and other programs. It says the shape; which names must exist, and that nothing goes round, the database says. */
import type { JsonObject } from './types.ts';

const text = (maxLength: number, description: string): JsonObject => ({ type: 'string', minLength: 1, maxLength, pattern: '\\S', description });
const orNull = (schema: JsonObject): JsonObject => ({ ...schema, type: [schema.type as string, 'null'] });
const seconds = (description: string): JsonObject => orNull({ type: 'number', minimum: 0.001, maximum: 604_800, description });
const taskName = (description: string): JsonObject => ({
  ...text(100, description), not: { enum: ['end', '__end__', '__script', '__proto__', 'prototype', 'constructor'] },
});

export function flowSchema(): JsonObject {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'urn:agentflow:flow',
    title: 'AgentFlow flow',
    description: 'Named tasks, one after the other; conditions choose the next by how the last one ended.',
    type: 'object',
    required: ['id', 'name', 'start_task', 'tasks'],
    additionalProperties: false,
    properties: {
      $schema: { description: 'Where this schema is, for editors. Means nothing to AgentFlow.' },
      id: text(100, 'Slug of the flow, unique in the tenant. Never changes.'),
      name: text(255, 'Name of the flow.'),
      description: orNull({ type: 'string', description: 'For people.' }),
      start_task: text(100, 'The task that runs first.'),
      timeout_seconds: seconds('Time limit of the whole flow; 3600 when left out.'),
      tasks: { type: 'array', minItems: 1, maxItems: 200, items: { $ref: '#/$defs/task' }, description: 'What is done.' },
      conditions: orNull({ type: 'array', maxItems: 600, items: { $ref: '#/$defs/condition' }, description: 'What follows what.' }),
    },
    $defs: { task: taskSchema(), condition: conditionSchema() },
  };
}

function taskSchema(): JsonObject {
  return {
    type: 'object', required: ['name'], additionalProperties: false,
    properties: {
      name: taskName('Name of a registered task.'),
      description: orNull({ type: 'string', maxLength: 500, description: 'For people.' }),
      config: orNull({ type: 'object', properties: { timeout_seconds: seconds('Time limit of the task; 300 when left out.') }, description: 'What the task is given.' }),
    },
  };
}

function conditionSchema(): JsonObject {
  return {
    type: 'object', required: ['name', 'source_task', 'outcome', 'target_task_success', 'target_task_failure'], additionalProperties: false,
    properties: {
      name: text(255, 'For people.'),
      description: orNull({ type: 'string', description: 'For people.' }),
      source_task: text(100, 'The task after which it is asked.'),
      outcome: { enum: ['success', 'failure', 'any'], description: 'The result that it is for.' },
      target_task_success: text(100, 'The task that follows when the outcome is the result; end ends the flow.'),
      target_task_failure: text(100, 'The task that follows otherwise; end ends the flow.'),
    },
  };
}
