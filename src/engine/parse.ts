/** From a document as sent, in either dialect, to the normalised one that runs. */
import { readDraft, type Draft, type DraftNode } from './draft.ts';
import { isObject } from './json.ts';
import { limitsOf } from './limits.ts';
import { Report } from './report.ts';
import type { EdgeSpec, Json, JsonObject, NodeSpec, QueueSpec, RetryPolicy, SourceKind, SourceSpec, WorkflowDocument } from './types.ts';

export const sourceKinds: readonly string[] = ['llm', 'image', 'db', 'api'];

/** Never throws: what cannot be read is left out. Whether the document is valid is said by `validateSpec`. */
export function parseDocument(spec: unknown): WorkflowDocument {
  return documentOf(readDraft(isObject(spec) ? spec : {}, new Report()));
}

export function documentOf(draft: Draft): WorkflowDocument {
  return {
    nodes: draft.nodes.filter((node) => node.id !== null).map(nodeSpecOf),
    edges: draft.edges.flatMap((edge): EdgeSpec[] => (edge.from === null || edge.to.length === 0 ? [] : [
      { from: edge.from, to: [...new Set(edge.to.map(({ id }) => id))], condition: edge.condition, isDefault: edge.isDefault, queue: edge.queue },
    ])),
    queues: draft.queues.flatMap(({ id, from, to, bandwidth }): QueueSpec[] => (id === null || from === null || to === null ? [] : [{
      id, from, to,
      maxMessagesPerSecond: numberOf(bandwidth.max_messages_per_second), maxRequestsPerMinute: numberOf(bandwidth.max_requests_per_minute),
      maxTokensPerMinute: numberOf(bandwidth.max_tokens_per_minute), burstSize: numberOf(bandwidth.burst_size),
    }])),
    sources: draft.sources.flatMap(({ id, kind, config, ref, fallback }): SourceSpec[] => (id === null || kind === null ? [] : [
      { id, kind: kind as SourceKind, config: withFallback(ref === null ? (config ?? {}) : config, fallback), ref },
    ])),
    startNode: draft.startNode ?? '',
    initialState: draft.initialState,
    limits: limitsOf(draft.limits),
  };
}

/** Beside the configuration it means the same as within. */
function withFallback(config: JsonObject | null, fallback: Json | undefined): JsonObject | null {
  return fallback === undefined ? config : { fallback, ...config };
}

export function nodeSpecOf(node: DraftNode): NodeSpec {
  const { output_key: outputKey, timeout, on_error: onError, retry } = node.metadata;
  return {
    id: node.id ?? '',
    type: node.type ?? '',
    description: node.description,
    outputKey: typeof outputKey === 'string' ? outputKey : null,
    timeoutSeconds: numberOf(timeout),
    retry: retryOf(retry),
    onError: onError === 'continue' ? 'continue' : 'fail',
    parameters: node.metadata,
  };
}

function retryOf(given: Json | undefined): RetryPolicy {
  const retry: JsonObject = isObject(given) ? given : {};
  return {
    maxAttempts: numberOf(retry.max_attempts) ?? 3,
    initialSeconds: numberOf(retry.initial_seconds) ?? 1,
    maxSeconds: numberOf(retry.max_seconds) ?? 30,
  };
}

function numberOf(value: Json | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
