/** What is given as --input: a JSON object, the name of a file of one after @, - for standard input, or the text of user_input. */
import { readFileSync } from 'node:fs';
import { AgentFlowError } from '../../errors.ts';
import type { JsonObject } from '../../engine/types.ts';
import { JsonSyntaxError, readJson } from '../json-text.ts';

/** @throws AgentFlowError USAGE with the place of what is no JSON */
export function inputOf(given: string | undefined): JsonObject {
  if (given === undefined) return {};
  if (given === '-') return objectIn(readFileSync(0, 'utf8'), 'standard input');
  if (given.startsWith('@')) return objectIn(fileText(given.slice(1)), given.slice(1));
  return /^\s*[[{]/.test(given) ? objectIn(given, '--input') : { user_input: given };
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new AgentFlowError('USAGE', `${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`, { cause: error });
  }
}

function objectIn(text: string, where: string): JsonObject {
  try {
    const { value } = readJson(text.replace(/^\uFEFF/, ''));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throw new AgentFlowError('USAGE', `${where}:${error.place.line}:${error.place.column}: no JSON: ${error.message}.`, { cause: error });
  }
  throw new AgentFlowError('USAGE', `${where} must hold a JSON object: the state that the execution starts with.`);
}
