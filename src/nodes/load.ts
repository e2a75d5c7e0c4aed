/** Finds node types in modules: every exported object with a `type` and a `run` is one. Modules without any are helpers. */
import path from 'node:path';
import { demandNone, extensionFolders, importModule, modulesIn } from '../extensions.ts';
import { isObject } from '../engine/json.ts';
import { schemaFault } from '../engine/schema.ts';
import { defineNode, type GivenType } from './define.ts';
import type { NodeType } from '../engine/types.ts';

/** The types of a folder, then those of the extensions of a project. @throws AgentFlowError EXTENSION_INVALID, with every problem. */
export async function loadNodeTypes(ownFolder: string, projectFolder?: string): Promise<NodeType[]> {
  const problems: string[] = [];
  const own = await typesIn(modulesIn(ownFolder).filter((file) => !/^(?:index|load)\.[jt]s$/.test(path.basename(file))), problems);
  const folders = extensionFolders(projectFolder).map((folder) => path.join(folder, 'nodes'));
  const added = (await Promise.all(folders.map((folder) => typesIn(modulesIn(folder), problems)))).flat();
  const all = [...own, ...added];
  for (const [index, { type }] of all.entries()) {
    if (all.findIndex((other) => other.type === type) < index) problems.push(`the node type ${type} is there twice: choose another name`);
  }
  demandNone(problems);
  return all;
}

async function typesIn(files: readonly string[], problems: string[]): Promise<NodeType[]> {
  const modules = await Promise.all(files.map(async (file) => ({ file, exports: await importModule(file, problems) })));
  return modules.flatMap(({ file, exports }) => [...new Set(Object.values(exports ?? {}))].filter(isGivenType).map((given) => checked(defineNode(given), file, problems)));
}

function isGivenType(value: unknown): value is GivenType {
  return typeof value === 'object' && value !== null && 'type' in value && 'run' in value;
}

const sourceKinds: readonly unknown[] = [null, 'llm', 'image', 'db', 'api'];

function checked(type: NodeType, file: string, problems: string[]): NodeType {
  const say = (message: string): void => void problems.push(`${file}: the node type ${String(type.type)} ${message}`);
  if (typeof type.type !== 'string' || !/^[a-z][a-z0-9_]{0,49}$/.test(type.type)) say('must be called by 1 to 50 lower-case letters, digits and _');
  if (typeof type.summary !== 'string' || type.summary.trim() === '') say('has no summary');
  if (typeof type.run !== 'function') say('must have run as a function');
  if (!sourceKinds.includes(type.sourceKind)) say('must have llm, image, db, api or null as sourceKind');
  if (type.sourceRequired && type.sourceKind === null) say('asks for a source without saying of which sourceKind');
  const fault = isObject(type.parameters) ? schemaFault(type.parameters) : 'it is no object';
  if (fault !== null) say(`has parameters that are no usable JSON Schema: ${fault}`);
  return type;
}
