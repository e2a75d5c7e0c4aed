/**
 * What users bring without changing AgentFlow: folders or packages that package.json of the folder where agentflow runs names,
 *
 *     "agentflow": { "extensions": ["./extension", "some-package"] }
 *
 * each with modules under `nodes/` (node types) and `tasks/flow/` (tasks of flows).
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { AgentFlowError } from './errors.ts';

const moduleName = /^[^._].*\.(?:ts|mts|js|mjs)$/;
const noModule = /\.(?:d|test|spec)\.[mc]?[jt]s$/;

/** Absolute paths, in the order named. @throws AgentFlowError EXTENSION_INVALID, with every problem. */
export function extensionFolders(projectFolder: string = process.cwd()): string[] {
  const problems: string[] = [];
  const folders = namedExtensions(projectFolder, problems).flatMap((name) => folderOf(name, projectFolder, problems) ?? []);
  demandNone(problems);
  return folders;
}

/** Modules directly in a folder, sorted; none when it does not exist. Files that begin with . or _ and tests are none. */
export function modulesIn(folder: string): string[] {
  if (!isFolder(folder)) return [];
  return readdirSync(folder).filter((name) => moduleName.test(name) && !noModule.test(name)).sort().map((name) => path.join(folder, name));
}

/** Imports a module. A failure is told with the module's name, in `problems`; null then. */
export async function importModule(file: string, problems: string[]): Promise<Record<string, unknown> | null> {
  try {
    return await import(pathToFileURL(file).href) as Record<string, unknown>;
  } catch (error) {
    problems.push(`${file} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** @throws AgentFlowError EXTENSION_INVALID when there is one. */
export function demandNone(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new AgentFlowError('EXTENSION_INVALID', `What package.json names as an extension cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`, { details: { problems } });
}

function namedExtensions(projectFolder: string, problems: string[]): string[] {
  const file = path.join(projectFolder, 'package.json');
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return [];
  let content: { agentflow?: { extensions?: unknown } } | null;
  try {
    content = JSON.parse(readFileSync(file, 'utf8')) as typeof content;
  } catch (error) {
    problems.push(`${file} is no JSON: ${(error as Error).message}`);
    return [];
  }
  const extensions = content?.agentflow?.extensions ?? [];
  if (Array.isArray(extensions) && extensions.every((name) => typeof name === 'string' && name !== '')) return extensions as string[];
  problems.push(`${file}: agentflow.extensions must be a list of folders and packages`);
  return [];
}

function folderOf(name: string, projectFolder: string, problems: string[]): string | null {
  const isPath = name.startsWith('.') || path.isAbsolute(name);
  const folder = isPath ? path.resolve(projectFolder, name) : packageFolder(name, projectFolder);
  if (folder !== null && isFolder(folder)) return folder;
  problems.push(isPath ? `the folder ${name} does not exist` : `the package ${name} is not installed`);
  return null;
}

function packageFolder(name: string, projectFolder: string): string | null {
  try {
    const file = findPackageJSON(name, pathToFileURL(path.join(projectFolder, 'package.json')));
    return file === undefined ? null : path.dirname(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function isFolder(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
}
