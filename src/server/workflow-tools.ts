/**
 * What the server needs of the engine, handed in by who starts it: checking and drawing documents with the node types there are.
 * SQL and TypeScript check by the same rules; TypeScript also parses expressions, statements and parameters, and SQL alone knows
 * the tenant's sources.
 */
import type { validateSpec } from '../engine/validate.ts';
import { AgentFlowError } from '../errors.ts';
import { checkWorkflows, type ProblemRow, type ProblemsRow, type ReadingClient } from '../store/workflow-checks.ts';

export type Validation = ReturnType<typeof validateSpec>;
export type Problem = Validation['errors'][number];

export interface WorkflowTools {
  /** Everything that can be said of a document without the tenant's sources. */
  validate(spec: unknown): Validation;
  /** Mermaid; null when the document cannot be drawn. `nodes`: how they fared, by id, to be shown. */
  diagram(spec: unknown, nodes?: Readonly<Record<string, { status: string; seconds: number | null; tokens: number }>>): string | null;
  /** Mermaid of a flow's definition, which is always one that the database has accepted. `tasks`: as `nodes`, by name. */
  flowDiagram(definition: unknown, tasks?: Readonly<Record<string, { status: string; seconds: number | null; tokens: number }>>): string;
  /** The value as jsonb holds it: without NUL and lone surrogates, which become U+FFFD. */
  normaliseState(value: unknown): unknown;
  /** JSON Schemas of documents, with the node types there are. */
  schemas: Readonly<Record<'workflow' | 'flow', object>>;
}

/** They are loaded when they are first asked for: no query of rows needs them, and they are a tenth of a start. */
export type LoadWorkflowTools = () => Promise<WorkflowTools>;

/** Findings that depend on the tenant's source rows: SQL's word counts. */
const aboutSourceRows: ReadonlySet<string> = new Set(['E008', 'W001']);

/** One validation for each document, in order. */
export async function validateAll(client: ReadingClient, tools: WorkflowTools, specs: readonly unknown[]): Promise<Validation[]> {
  const found = await checkWorkflows(client, specs);
  return specs.map((spec, index) => merged(found[index]!, tools.validate(spec)));
}

/** Throws INVALID_WORKFLOW with every problem. */
export function demandValid({ errors }: Validation): void {
  const [first] = errors;
  if (!first) return;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new AgentFlowError('INVALID_WORKFLOW', `A published workflow must be valid. ${first.message}${more}`, { details: { field: 'spec', problems: errors } });
}

function merged(inDatabase: ProblemsRow, inEngine: Validation): Validation {
  const errors = union(inDatabase.errors, inEngine.errors);
  return { valid: errors.length === 0, errors, warnings: union(inDatabase.warnings, inEngine.warnings) };
}

function union(rows: ProblemRow[], problems: Problem[]): Problem[] {
  const fromRows = rows.map(({ code, message, field, node_id: nodeId }) => ({ code, message, field, nodeId }));
  const known = new Set(fromRows.map(placeOf));
  return [...fromRows, ...problems.filter((problem) => !aboutSourceRows.has(problem.code) && !known.has(placeOf(problem)))];
}

function placeOf({ code, field, nodeId }: Problem): string {
  return JSON.stringify([code, field, nodeId]);
}
