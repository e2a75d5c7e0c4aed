/** Checks of workflow files, each problem with its line and column. */
import { validateSpec, type Problem, type SourceRow } from '../../engine/index.ts';
import { sourceKinds } from '../../engine/parse.ts';
import type { Validation } from '../../server/workflow-tools.ts';
import { JsonSyntaxError, type JsonText, type Place } from '../json-text.ts';
import { readJsonFile, workflowOf, type WorkflowFile } from './file.ts';

export interface PlacedProblem extends Problem, Place {}

export interface FileFindings {
  file: string;
  valid: boolean;
  errors: PlacedProblem[];
  warnings: PlacedProblem[];
  /** Names of sources that were not looked up. */
  open: string[];
}

/** Null where the file is no JSON; the findings say where. @throws AgentFlowError NOT_FOUND */
export function readForChecking(file: string): { findings: FileFindings; workflow: WorkflowFile | null } {
  try {
    const text = readJsonFile(file);
    const repeated = text.repeated.map(({ key, place }): PlacedProblem => ({ code: 'W002', message: `The key ${JSON.stringify(key)} stands twice: only the last counts`, field: null, nodeId: null, ...place }));
    return { workflow: workflowOf(file, text), findings: { file, valid: true, errors: [], warnings: repeated, open: [] } };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return { workflow: null, findings: { file, valid: false, errors: [{ code: 'E001', message: `No JSON: ${error.message}`, field: null, nodeId: null, ...error.place }], warnings: [], open: [] } };
  }
}

export function placed(findings: FileFindings, text: JsonText, { errors, warnings }: Validation): FileFindings {
  const at = (problem: Problem): PlacedProblem => ({ ...problem, ...text.place(problem.field, problem.code === 'W002' ? 'key' : 'value') });
  const all = { ...findings, errors: [...findings.errors, ...errors.map(at)], warnings: [...findings.warnings, ...warnings.map(at)] };
  return { ...all, valid: all.errors.length === 0 };
}

/** `file:line:column: E003 message`, in the order of the file. */
export function findingLines(findings: FileFindings): string[] {
  const told = [...findings.errors, ...findings.warnings].sort((a, b) => a.line - b.line || a.column - b.column);
  return told.map(({ line, column, code, message }) => `${findings.file}:${line}:${column}: ${code} ${message}`);
}

/** Without a database: names that only a tenant's sources can answer are not errors, but left open. */
export function checkOffline(spec: unknown, options: Omit<Parameters<typeof validateSpec>[1], 'sources'>): { validation: Validation; open: string[] } {
  const missing = validateSpec(spec, options).errors.filter(({ code }) => code === 'E008');
  const open = [...new Set(missing.flatMap(({ field }) => namesAt(spec, field)))];
  const sources = open.flatMap((name): SourceRow[] => sourceKinds.map((kind) => ({ name, kind })));
  return { validation: validateSpec(spec, { ...options, sources }), open };
}

/** The row that is missing: the one that the document's source refers to, else the one named at the field. */
function namesAt(spec: unknown, field: string | null): string[] {
  let value = spec;
  for (const step of (field ?? '').split('.')) value = (value as Record<string, unknown> | undefined)?.[step];
  if (typeof value !== 'string') return [];
  const { sources } = spec as { sources?: { id?: unknown; ref?: unknown }[] };
  const own = (Array.isArray(sources) ? sources : []).find((source) => source?.id === value);
  const name = own === undefined ? value : own.ref;
  return typeof name === 'string' ? [name] : [];
}
