/** E003, E004, E009 and W002 of nodes: their types, their parameters, their ids. */
import { commonProperties, commonSchema, samplingProperties } from './document-schemas.ts';
import { metadataField, type DraftNode } from './draft.ts';
import { nodeSpecOf } from './parse.ts';
import { isSecretKey, metadataSecretPaths } from './secrets.ts';
import { checkBySchema, warnUnknownKeys } from './validate-schema.ts';
import type { Checking } from './validate.ts';
import type { JsonObject, NodeType } from './types.ts';

export function checkNodes(checking: Checking): void {
  const { draft, report } = checking;
  const seen = new Set<string>();
  for (const node of draft.nodes) {
    if (node.id !== null) {
      if (seen.has(node.id)) report.at('E009', `${node.field}.id`, `repeats the id '${node.id}' of an earlier node`, node.id);
      seen.add(node.id);
    }
    checkMetadata(node, checking);
  }
}

function checkMetadata(node: DraftNode, checking: Checking): void {
  const { report } = checking;
  const type = checking.typeOf(node.type);
  if (node.type !== null && type === undefined) report.add('E004', `${node.field}.type`, `${node.field}.type names the unknown node type '${node.type}'`, node.id);
  const place = { field: `${node.field}.metadata`, sentAs: node.sentAs, nodeId: node.id };
  checkBySchema(node.metadata, commonSchema, place, report);
  for (const path of metadataSecretPaths(node.metadataAsSent)) {
    report.at('E003', `${place.field}.${path.join('.')}`, 'holds a secret: name an environment variable or a stored secret instead', node.id);
  }
  if (type) checkParameters(node, type, checking);
}

const commonKeys: ReadonlySet<string> = new Set([...Object.keys(commonProperties), ...Object.keys(samplingProperties)]);

function checkParameters(node: DraftNode, type: NodeType, { report, tools }: Checking): void {
  const place = { field: `${node.field}.metadata`, sentAs: node.sentAs, nodeId: node.id };
  const before = report.errors.length;
  checkBySchema(node.metadata, type.parameters, place, report, commonKeys);
  const known = new Set([...Object.keys(commonProperties), ...Object.keys((type.parameters.properties ?? {}) as JsonObject)]);
  const shown = Object.fromEntries(Object.entries(node.metadata).filter(([key]) => !isSecretKey(key)));
  warnUnknownKeys(shown, known, place, report);
  for (const key of node.overridden) report.at('W002', `${place.field}.${key}`, 'is overridden by the other name of the same parameter', node.id);
  if (report.errors.length > before || !type.validate) return;
  for (const { code, field, message } of type.validate(nodeSpecOf(node), tools)) {
    const [first = '', ...rest] = (field ?? '').split('.');
    report.at(code, [metadataField(node, first), ...rest].join('.'), message, node.id);
  }
}
