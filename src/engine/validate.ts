/**
 * Is this document a workflow that can run? Every problem at once, each with a stable code and its place in the document as it was sent.
 * The database holds the same rules, except for what it cannot parse (expressions, SQL, parameters by schema); one set of case files binds both.
 */
import { readDraft, type Draft } from './draft.ts';
import { isObject } from './json.ts';
import { checkBounds } from './validate-bounds.ts';
import { checkGraph } from './validate-graph.ts';
import { checkNodes } from './validate-nodes.ts';
import { checkSettings } from './validate-settings.ts';
import { checkSources } from './validate-sources.ts';
import { checkParallelWriters } from './validate-writers.ts';
import { Report } from './report.ts';
import type { NodeType, Validation, ValidationTools } from './types.ts';

export interface SourceRow {
  name: string;
  kind: string;
}

export interface ValidateOptions {
  nodeTypes: readonly NodeType[];
  /** The tenant's active sources; none when left out. */
  sources?: readonly SourceRow[];
  /** From `loadSelectChecker()`; without it statements are not parsed. */
  checkSelect?: ValidationTools['checkSelect'];
}

/** What the checks share. */
export interface Checking {
  draft: Draft;
  report: Report;
  typeOf(name: string | null): NodeType | undefined;
  rows: readonly SourceRow[];
  tools: ValidationTools;
}

export function validateSpec(spec: unknown, options: ValidateOptions): Validation {
  const report = new Report();
  if (!isObject(spec)) {
    report.add('E001', null, 'A workflow is a JSON object with nodes, edges, queues, sources and start_node');
    return report.validation();
  }
  checkBounds(spec, report);
  if (report.errors.length > 0) return report.validation();
  const types = new Map(options.nodeTypes.map((type) => [type.type, type]));
  const checking: Checking = {
    draft: readDraft(spec, report), report, rows: options.sources ?? [], tools: { checkSelect: options.checkSelect ?? null },
    typeOf: (name) => (name === null ? undefined : types.get(name)),
  };
  checkSettings(checking);
  checkNodes(checking);
  checkSources(checking);
  checkGraph(checking);
  if (report.errors.length === 0) checkParallelWriters(checking);
  return report.validation();
}
