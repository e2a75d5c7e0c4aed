/** JSON Schemas of the parts of a document that every node, source and queue share. */
import { engineKeys } from './keys.ts';
import { limitKeys } from './limits.ts';
import type { JsonObject } from './types.ts';

export const samplingProperties: JsonObject = {
  temperature: { type: 'number', minimum: 0, maximum: 2, description: 'How freely the model chooses; 0.7 when neither node nor source says.' },
  max_tokens: { type: 'integer', minimum: 1, description: 'Longest answer in tokens; 4096 when neither node nor source says.' },
  top_p: { type: 'number', minimum: 0, maximum: 1, description: 'Nucleus sampling.' },
};

/** What every node may say in its metadata. */
export const commonProperties: JsonObject = {
  output_key: {
    type: 'string', minLength: 1, maxLength: 255, not: { enum: ['__proto__', 'prototype', 'constructor', ...engineKeys] },
    description: 'State key of the output.',
  },
  timeout: { type: 'number', exclusiveMinimum: 0, description: 'Seconds for one try.' },
  retry: {
    type: 'object', description: 'Tries after passing failures.',
    properties: {
      max_attempts: { type: 'integer', minimum: 1, maximum: 20 },
      initial_seconds: { type: 'number', minimum: 0 },
      max_seconds: { type: 'number', minimum: 0 },
    },
  },
  on_error: { enum: ['fail', 'continue'], description: 'What a failure does to the execution; fail when left out.' },
  source: { type: 'string', minLength: 1, description: 'Id of a source of the document, or name of one of the tenant.' },
};

/** Checked on every node, whatever its type. */
export const commonSchema: JsonObject = { type: 'object', properties: { ...commonProperties, ...samplingProperties } };

export const modelConfigSchema: JsonObject = { type: 'object', properties: samplingProperties };

const rate: JsonObject = { type: 'number', minimum: 1 };

export const bandwidthSchema: JsonObject = {
  type: 'object', properties: { max_messages_per_second: rate, max_requests_per_minute: rate, max_tokens_per_minute: rate, burst_size: rate },
};

export const limitsSchema: JsonObject = {
  type: 'object', properties: Object.fromEntries(Object.keys(limitKeys).map((key) => [key, { type: 'number', exclusiveMinimum: 0 }])),
};
