/** The tasks that flows can name: files of `tasks/flow/`, of this project and of the extensions that package.json names. */
import path from 'node:path';
import { demandNone, extensionFolders, importModule, modulesIn } from '../../extensions.ts';
import type { FlowTask } from '../flow-task.ts';
import { taskDirectory } from '../tasks.ts';

export interface RegisteredTask {
  run: FlowTask;
  /** Reaches nothing outside: it is not checkpointed by itself. */
  isPure: boolean;
  /** Answers from the script of the execution. */
  isScripted: boolean;
}

export interface FlowTaskRegistry {
  names: string[];
  /** Regular expression of the names that test tasks answer for; null when they are off. */
  testPattern: string | null;
  find(name: string): RegisteredTask | null;
}

/** `pattern` null: every name that is not registered. */
export interface TestTasks { pattern: string | null }

const ownFolder = path.join(taskDirectory, 'flow');
const refusedNames = new Set(['end', '__end__', '__script', '__proto__', 'prototype', 'constructor']);
const maxNameLength = 100;

/** @throws AgentFlowError EXTENSION_INVALID with everything that is wrong with the files. */
export async function loadFlowTasks(testTasks: TestTasks | null): Promise<FlowTaskRegistry> {
  const problems: string[] = [];
  const folders = new Set([ownFolder, ...extensionFolders().map((folder) => path.join(folder, 'tasks', 'flow'))]);
  const tasks = new Map<string, RegisteredTask & { file: string }>();
  for (const file of [...folders].flatMap(modulesIn)) {
    const name = path.parse(file).name;
    const task = await taskOf(file, problems);
    const known = tasks.get(name);
    if (known !== undefined) problems.push(`${file}: there is already a task ${name}, in ${known.file}`);
    else if (name.length > maxNameLength || refusedNames.has(name)) problems.push(`${file}: no task can have the name ${name.slice(0, maxNameLength)}`);
    else if (task !== null) tasks.set(name, { ...task, file });
  }
  const scripted = testTasks === null ? null : await scriptedTask(problems);
  demandNone(problems);
  return registryOf(tasks, testTasks, scripted);
}

function registryOf(tasks: ReadonlyMap<string, RegisteredTask>, testTasks: TestTasks | null, scripted: RegisteredTask | null): FlowTaskRegistry {
  const pattern = testTasks?.pattern == null ? null : new RegExp(testTasks.pattern);
  return {
    names: [...tasks.keys()].sort(),
    testPattern: testTasks === null ? null : (testTasks.pattern ?? ''),
    find: (name) => (pattern?.test(name) ? scripted : (tasks.get(name) ?? (pattern === null ? scripted : null))),
  };
}

async function taskOf(file: string, problems: string[]): Promise<RegisteredTask | null> {
  const module = await importModule(file, problems);
  if (module === null) return null;
  if (typeof module['default'] !== 'function') {
    problems.push(`${file} exports no function by default: a task is (context, tools) => data`);
    return null;
  }
  return { run: module['default'] as FlowTask, isPure: module['pure'] === true, isScripted: false };
}

async function scriptedTask(problems: string[]): Promise<RegisteredTask | null> {
  const task = await taskOf(path.join(ownFolder, 'test-support', 'scripted.ts'), problems);
  return task === null ? null : { ...task, isScripted: true };
}
