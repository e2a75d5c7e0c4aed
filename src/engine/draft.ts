/**
 * Reads a document as it was sent: what has the right shape becomes typed parts that remember their place, what has not is reported and left out.
 * Never throws. Validation and parsing both start here.
 */
import { documentBounds } from './limits.ts';
import { isObject, ownValue } from './json.ts';
import { canonical, configAliases, endTargets, knownKeys, metadataAliases } from './keys.ts';
import type { Report } from './report.ts';
import type { Json, JsonObject } from './types.ts';

export interface DraftNode {
  index: number;
  field: string;
  /** Null when there is no text at `id`. */
  id: string | null;
  idIsValid: boolean;
  type: string | null;
  description: string | null;
  /** Canonical names, nulls left out. */
  metadata: JsonObject;
  metadataAsSent: JsonObject;
  sentAs: Map<string, string>;
  /** Metadata keys of the second dialect that stand beside the first. */
  overridden: string[];
}

export interface DraftEdge {
  index: number;
  field: string;
  from: string | null;
  to: { id: string; field: string }[];
  condition: string | null;
  isDefault: boolean;
  queue: string | null;
}

export interface DraftQueue {
  index: number;
  field: string;
  id: string | null;
  from: string | null;
  to: string | null;
  bandwidth: JsonObject;
}

export interface DraftSource {
  index: number;
  field: string;
  id: string | null;
  kind: string | null;
  /** Null when none was sent or it is no object. */
  config: JsonObject | null;
  configIsBroken: boolean;
  configAsSent: JsonObject;
  sentAs: Map<string, string>;
  ref: string | null;
  hasRef: boolean;
  /** As sent, beside the configuration. */
  fallback: Json | undefined;
}

export interface Draft {
  nodes: DraftNode[];
  edges: DraftEdge[];
  queues: DraftQueue[];
  sources: DraftSource[];
  startNode: string | null;
  initialState: JsonObject;
  limits: JsonObject;
}

/** Field of a metadata key as it was sent. */
export function metadataField(node: DraftNode, key: string): string {
  return `${node.field}.metadata.${node.sentAs.get(key) ?? key}`;
}

const nodeIdPattern = /^[A-Za-z0-9_-]{1,100}$/;
export const reservedIds: ReadonlySet<string> = new Set([...endTargets, '__proto__', 'prototype', 'constructor']);

export function readDraft(spec: JsonObject, report: Report): Draft {
  const read = new PartReader(report);
  for (const key of ['name', 'description']) read.text(spec, key, '');
  read.object(spec, 'metadata', '');
  const nodes = read.list(spec, 'nodes');
  const draft: Draft = {
    nodes: nodes.map(([raw, index]) => readNode(raw, index, read)),
    edges: read.list(spec, 'edges').map(([raw, index]) => readEdge(raw, index, read)),
    queues: read.list(spec, 'queues').map(([raw, index]) => readQueue(raw, index, read)),
    sources: read.list(spec, 'sources').map(([raw, index]) => readSource(raw, index, read)),
    startNode: read.requiredText(spec, 'start_node', ''),
    initialState: read.object(spec, 'initial_state', '') ?? {},
    limits: read.object(spec, 'limits', '') ?? {},
  };
  const sent = ownValue(spec, 'nodes');
  if (sent === undefined || sent === null || (Array.isArray(sent) && sent.length === 0)) report.at('E002', 'nodes', 'is missing: a workflow has at least one node');
  read.unknownKeys(spec, knownKeys.document, '');
  return draft;
}

function readNode(raw: JsonObject, index: number, read: PartReader): DraftNode {
  const field = `nodes.${index}`;
  const sentId = ownValue(raw, 'id');
  const id = typeof sentId === 'string' ? sentId : null;
  const idIsValid = id !== null && nodeIdPattern.test(id) && !reservedIds.has(id);
  if (sentId === undefined || sentId === null) read.report.at('E002', `${field}.id`, 'is missing');
  else if (!idIsValid) read.report.at('E003', `${field}.id`, 'must be 1 to 100 letters, digits, _ or -, and none of the reserved end, __end__, __proto__, prototype, constructor', id);
  const sent = read.object(raw, 'metadata', field, id) ?? {};
  const { values, sentAs, overridden } = canonical(sent, metadataAliases);
  read.unknownKeys(raw, knownKeys.node, field, id);
  const type = read.requiredText(raw, 'type', field, id);
  return { index, field, id, idIsValid, type, description: read.text(raw, 'description', field, id), metadata: values, metadataAsSent: sent, sentAs, overridden };
}

function readEdge(raw: JsonObject, index: number, read: PartReader): DraftEdge {
  const field = `edges.${index}`;
  const condition = read.text(raw, 'condition', field);
  if (condition !== null && condition.trim() === '') read.report.at('E003', `${field}.condition`, 'must not be blank: leave it out where there is none');
  const isDefault = ownValue(raw, 'default') ?? false;
  if (typeof isDefault !== 'boolean') read.report.at('E003', `${field}.default`, 'must be true or false');
  read.unknownKeys(raw, knownKeys.edge, field);
  return {
    index, field, from: read.requiredText(raw, 'from', field), to: readTargets(raw, field, read),
    condition: condition === null || condition.trim() === '' ? null : condition.trim(), isDefault: isDefault === true, queue: read.text(raw, 'queue', field),
  };
}

function readTargets(raw: JsonObject, field: string, read: PartReader): { id: string; field: string }[] {
  const to = ownValue(raw, 'to');
  if (to === undefined || to === null) {
    read.report.at('E002', `${field}.to`, 'is missing');
    return [];
  }
  if (typeof to === 'string') return [{ id: to, field: `${field}.to` }];
  if (!Array.isArray(to) || to.length === 0) {
    read.report.at('E003', `${field}.to`, 'must be the id of a node or a list of ids that is not empty');
    return [];
  }
  const targets: { id: string; field: string }[] = [];
  to.forEach((target, i) => {
    if (typeof target === 'string') targets.push({ id: target, field: `${field}.to.${i}` });
    else read.report.at('E003', `${field}.to.${i}`, 'must be the id of a node');
  });
  return targets;
}

function readQueue(raw: JsonObject, index: number, read: PartReader): DraftQueue {
  const field = `queues.${index}`;
  read.unknownKeys(raw, knownKeys.queue, field);
  return {
    index, field, id: read.name(raw, 'id', field), from: read.requiredText(raw, 'from', field), to: read.requiredText(raw, 'to', field),
    bandwidth: read.object(raw, 'bandwidth', field) ?? {},
  };
}

function readSource(raw: JsonObject, index: number, read: PartReader): DraftSource {
  const field = `sources.${index}`;
  const sent = read.object(raw, 'config', field);
  const { values, sentAs } = canonical(sent ?? {}, configAliases);
  const hasConfig = (ownValue(raw, 'config') ?? null) !== null;
  read.unknownKeys(raw, knownKeys.source, field);
  return {
    index, field, id: read.name(raw, 'id', field), kind: read.requiredText(raw, 'kind', field), config: sent === null ? null : values,
    configIsBroken: hasConfig && sent === null, configAsSent: sent ?? {}, sentAs, ref: read.text(raw, 'ref', field), hasRef: (ownValue(raw, 'ref') ?? null) !== null,
    fallback: ownValue(raw, 'fallback') ?? undefined,
  };
}

/** Reads one key at a time and reports what does not fit. */
class PartReader {
  readonly report: Report;

  constructor(report: Report) {
    this.report = report;
  }

  /** The entries that are objects, with their positions. */
  list(spec: JsonObject, key: 'nodes' | 'edges' | 'queues' | 'sources'): [JsonObject, number][] {
    const value = ownValue(spec, key) ?? [];
    if (!Array.isArray(value)) {
      this.report.at('E001', key, 'must be a list');
      return [];
    }
    const bound = key === 'nodes' || key === 'edges' ? documentBounds[key] : Number.POSITIVE_INFINITY;
    const parts: [JsonObject, number][] = [];
    value.slice(0, bound).forEach((entry: Json, index) => {
      if (isObject(entry)) parts.push([entry, index]);
      else this.report.at('E001', `${key}.${index}`, 'must be an object');
    });
    return parts;
  }

  object(owner: JsonObject, key: string, at: string, nodeId: string | null = null): JsonObject | null {
    const value = ownValue(owner, key) ?? null;
    if (value === null || isObject(value)) return value;
    this.report.at('E003', join(at, key), 'must be an object', nodeId);
    return null;
  }

  text(owner: JsonObject, key: string, at: string, nodeId: string | null = null): string | null {
    const value = ownValue(owner, key) ?? null;
    if (value === null || typeof value === 'string') return value;
    this.report.at('E003', join(at, key), 'must be a text', nodeId);
    return null;
  }

  requiredText(owner: JsonObject, key: string, at: string, nodeId: string | null = null): string | null {
    if ((ownValue(owner, key) ?? null) === null) this.report.at('E002', join(at, key), 'is missing', nodeId);
    return this.text(owner, key, at, nodeId);
  }

  /** Id of a queue or source. */
  name(owner: JsonObject, key: string, at: string): string | null {
    const value = this.requiredText(owner, key, at);
    if (value === null || (value.length > 0 && [...value].length <= 255)) return value;
    this.report.at('E003', join(at, key), 'must be 1 to 255 characters long');
    return null;
  }

  unknownKeys(owner: JsonObject, known: readonly string[], at: string, nodeId: string | null = null): void {
    for (const key of Object.keys(owner)) if (!known.includes(key)) this.report.at('W002', join(at, key), 'is not a known key; it is kept and means nothing', nodeId);
  }
}

function join(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`;
}
