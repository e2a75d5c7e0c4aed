/** E002, E003, E004, E008, E010, E014, W001 and W003: sources, and the nodes that use them. */
import { modelConfigSchema } from './document-schemas.ts';
import { metadataField, type DraftNode, type DraftSource } from './draft.ts';
import { inlineSourceKeys } from './keys.ts';
import { sourceKinds } from './parse.ts';
import { secretPaths } from './secrets.ts';
import { checkBySchema } from './validate-schema.ts';
import type { Checking } from './validate.ts';
import type { JsonObject, NodeType } from './types.ts';

export function checkSources(checking: Checking): void {
  const { draft, report } = checking;
  const seen = new Set<string>();
  for (const source of draft.sources) {
    if (source.id !== null) {
      if (seen.has(source.id)) report.at('E010', `${source.field}.id`, `repeats the id '${source.id}' of an earlier source`);
      seen.add(source.id);
    }
    checkSource(source, checking);
  }
  for (const node of draft.nodes) checkNodeSource(node, checking);
}

function checkSource(source: DraftSource, checking: Checking): void {
  const { report } = checking;
  const { field, kind, config, sentAs } = source;
  if (kind !== null && !sourceKinds.includes(kind)) report.add('E004', `${field}.kind`, `${field}.kind names the unknown source kind '${kind}'; known are ${sourceKinds.join(', ')}`);
  const place = { field: `${field}.config`, sentAs };
  for (const path of secretPaths(source.configAsSent)) {
    report.at('E003', [place.field, ...path].join('.'), 'holds a secret: name an environment variable or a stored secret instead');
  }
  checkFallbacks(source, checking);
  if (kind === 'llm' || kind === 'image') checkBySchema(config ?? {}, modelConfigSchema, place, report);
  if (source.hasRef || source.configIsBroken) return;
  if (kind === 'llm' && config?.model === undefined) report.add('W003', `${field}.config`, `${field}.config: the source '${source.id ?? ''}' names no model`);
  if (kind === 'db' && !hasConnection(config ?? {})) report.at('E002', `${field}.config.connection_string_env`, 'is missing: it names the environment variable with the connection');
}

/** One id or a list of them, beside or within the configuration. */
function checkFallbacks({ id, field, fallback, config }: DraftSource, checking: Checking): void {
  for (const [place, given] of [[`${field}.fallback`, fallback], [`${field}.config.fallback`, config?.fallback]] as const) {
    if (given === undefined || given === null) continue;
    const names = Array.isArray(given) ? given : [given];
    for (const [index, name] of names.entries()) {
      const at = Array.isArray(given) ? `${place}.${index}` : place;
      if (typeof name !== 'string' || name === '') checking.report.at('E003', at, 'must be the id of a source');
      else if (lookUp(name, undefined, checking) === null) checking.report.add('E008', at, `Source '${id ?? ''}' names the fallback '${name}', which is neither in the document nor among the tenant's active sources`);
    }
  }
}

function hasConnection(config: JsonObject): boolean {
  return ['connection_string_env', 'connection_string', 'dsn'].some((key) => config[key] !== undefined);
}

function checkNodeSource(node: DraftNode, checking: Checking): void {
  const { report } = checking;
  const type = checking.typeOf(node.type);
  const field = metadataField(node, 'source');
  const named = node.metadata.source;
  if (named === undefined) {
    if (type && (type.sourceRequired || type.needsSource?.(node.metadata)) && !hasInlineSource(node, type)) {
      report.add('E014', field, `Node '${node.id ?? ''}' of type ${type.type} has no source`, node.id);
    }
    return;
  }
  if (typeof named !== 'string') return;
  const found = lookUp(named, type, checking);
  if (found === null) {
    report.add('E008', field, `Node '${node.id ?? ''}' names the source '${named}', which is neither in the document nor among the tenant's active sources`, node.id);
  } else if (type?.sourceKind && found.kind !== null && found.kind !== type.sourceKind) {
    report.add('W001', field, `Node '${node.id ?? ''}' of type ${type.type} works on a source of kind ${type.sourceKind}; '${named}' is of kind ${found.kind}`, node.id);
  }
}

function hasInlineSource(node: DraftNode, type: NodeType): boolean {
  return (type.sourceKind === 'llm' || type.sourceKind === 'image') && inlineSourceKeys.some((key) => node.metadata[key] !== undefined);
}

/** In the document first, then by name among the tenant's rows, those of the fitting kind first. */
function lookUp(name: string, type: NodeType | undefined, { draft, rows }: Checking): { kind: string | null } | null {
  const own = draft.sources.find((source) => source.id === name);
  if (own) return own.ref === null || rows.some((row) => row.name === own.ref && row.kind === own.kind) ? own : null;
  const named = rows.filter((row) => row.name === name);
  return named.find((row) => row.kind === type?.sourceKind) ?? named[0] ?? null;
}
