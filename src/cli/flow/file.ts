/** Flow files: the definition as JSON; its id says which flow it is. */
import type pg from 'pg';
import { AgentFlowError } from '../../errors.ts';
import type { JsonObject } from '../../engine/types.ts';
import { checkFlows, type FlowInput } from '../../store/flow-api.ts';
import { findFlows, type FlowRow } from '../../store/flow-listing.ts';
import type { ProblemRow, ProblemsRow } from '../../store/workflow-checks.ts';
import { JsonSyntaxError, type JsonText } from '../json-text.ts';
import { placed, type FileFindings } from '../workflow/check.ts';
import { readJsonFile } from '../workflow/file.ts';

export interface FlowFile {
  file: string;
  text: JsonText | null;
  findings: FileFindings;
}

/** @throws AgentFlowError NOT_FOUND */
export function readFlowFile(file: string): FlowFile {
  const none = { file, valid: true, errors: [], warnings: [], open: [] };
  try {
    return { file, text: readJsonFile(file), findings: none };
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return { file, text: null, findings: { ...none, valid: false, errors: [{ code: 'E001', message: `No JSON: ${error.message}`, field: null, nodeId: null, ...error.place }] } };
  }
}

/** What the database says of each file, with line and column. */
export async function checkFiles(client: pg.ClientBase, files: readonly FlowFile[]): Promise<FileFindings[]> {
  const problems = await checkFlows(client, files.flatMap(({ text }) => (text === null ? [] : [{ definition: text.value }])));
  return files.map(({ text, findings }) => (text === null ? findings : placed(findings, text, validationOf(problems.shift()!))));
}

function validationOf({ errors, warnings }: ProblemsRow): Parameters<typeof placed>[2] {
  const told = ({ code, message, field, node_id: nodeId }: ProblemRow): { code: string; message: string; field: string | null; nodeId: string | null } => ({ code, message, field, nodeId });
  return { valid: errors.length === 0, errors: errors.map(told), warnings: warnings.map(told) };
}

/** Of a file that is valid. */
export function flowOf({ text }: FlowFile): FlowInput & { definition: JsonObject } {
  const definition = text!.value as JsonObject;
  return { id: definition['id'] as string, name: definition['name'] as string, description: (definition['description'] as string | undefined) ?? null, startTask: definition['start_task'] as string, definition };
}

/** The flow with that id, else the only one of that name. @throws AgentFlowError NOT_FOUND, USAGE when several could be meant */
export async function findFlow(client: pg.ClientBase, idOrName: string): Promise<FlowRow> {
  const [first, ...others] = await findFlows(client, idOrName);
  if (first === undefined) throw new AgentFlowError('NOT_FOUND', `There is no flow ${idOrName}.`, { remedy: 'agentflow flow list shows what there is.' });
  if (first.id === idOrName || others.length === 0) return first;
  throw new AgentFlowError('USAGE', `${others.length + 1} flows are called ${idOrName}: ${[first, ...others].map(({ id }) => id).join(', ')}.`, { remedy: 'Name one by its id.' });
}
