/**
 * Workflow files: the document as JSON, with the name and the description of the workflow in it. What is stored and what stands in a file are
 * compared as such documents, so a file that was pulled and not changed changes nothing when it is applied.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../../errors.ts';
import { knownKeys } from '../../engine/keys.ts';
import type { JsonObject } from '../../engine/types.ts';
import type { WorkflowText } from '../../store/workflow-rows.ts';
import { readJson, type JsonText } from '../json-text.ts';

export interface WorkflowFile extends WorkflowText {
  /** As it was given. */
  file: string;
  text: JsonText;
}

/** @throws AgentFlowError NOT_FOUND, JsonSyntaxError */
export function readJsonFile(file: string): JsonText {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw new AgentFlowError('NOT_FOUND', `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`, { remedy: 'Check the name of the file.', cause: error });
  }
  return readJson(bytes.toString('utf8').replace(/^\uFEFF/, ''));
}

/** What a document says of itself; without a name it is called as its file. */
export function workflowOf(file: string, text: JsonText): WorkflowFile {
  const spec = text.value as JsonObject;
  const ownText = (key: string): string | null => (typeof spec[key] === 'string' && spec[key].trim() !== '' ? spec[key] : null);
  return { file, text, spec, name: ownText('name') ?? path.basename(file).replace(/\.json$/i, ''), description: ownText('description') };
}

/** Files are taken as they are; of a folder, the files in it that end in .json. @throws AgentFlowError NOT_FOUND */
export function filesOf(paths: readonly string[]): string[] {
  return paths.flatMap((given) => {
    if (!statSync(given, { throwIfNoEntry: false })?.isDirectory()) return [given];
    return readdirSync(given).filter((name) => name.endsWith('.json') && !name.endsWith('.schema.json')).sort().map((name) => path.join(given, name));
  });
}

/** What a file of this workflow holds, in an order that reads well. */
export function documentOf({ name, description, spec }: WorkflowText): JsonObject {
  const { name: _name, description: _description, ...rest } = spec;
  const whole: JsonObject = { ...rest, name, ...(description === null ? {} : { description }) };
  const parts = ['nodes', 'edges', 'queues', 'sources'] as const;
  const [node, edge, queue, source] = [knownKeys.node, knownKeys.edge, knownKeys.queue, knownKeys.source];
  const orders = { nodes: node, edges: edge, queues: queue, sources: source };
  for (const part of parts) {
    const entries = whole[part];
    if (Array.isArray(entries)) whole[part] = entries.map((entry) => (isRecord(entry) ? ordered(entry, orders[part]) : entry));
  }
  return ordered(whole, ['$schema', 'name', 'description', 'version', 'metadata', 'initial_state', 'start_node', 'nodes', 'edges', 'queues', 'sources', 'limits']);
}

/** The same workflow? Where the schema for editors is does not matter. */
export function isSame(left: WorkflowText, right: WorkflowText): boolean {
  const [{ $schema: _left, ...one }, { $schema: _right, ...other }] = [documentOf(left), documentOf(right)];
  return sorted(one) === sorted(other);
}

/** Of a file: letters, digits and hyphens of the workflow's name. */
export function fileNameOf({ name }: { name: string }): string {
  const slug = name.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 100);
  return `${slug === '' ? 'workflow' : slug}.json`;
}

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function ordered(object: JsonObject, keys: readonly string[]): JsonObject {
  const known = keys.filter((key) => Object.hasOwn(object, key));
  const others = Object.keys(object).filter((key) => !keys.includes(key));
  return Object.fromEntries([...known, ...others].map((key) => [key, object[key]!]));
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part));
}
