/** Who may import whom. A room is a folder of src/ (or a file directly in it), and tasks/. */
import path from 'node:path';
import { filesIn, readLines, type Gate, type Problem } from './gate.ts';

interface Room {
  /** Rooms, or files of rooms (`engine/validate`), that may be imported. */
  may: readonly string[];
  /** Allowed in `import type` only. */
  mayTypes?: readonly string[];
  /** Modules of Node that it needs, from those that reach outside. */
  outside?: readonly string[];
}

/** The engine's pure helpers, which know nothing of a run. */
const engineHelpers = ['types', 'json', 'template', 'expression', 'schema', 'pattern', 'keys', 'cost', 'document-schemas'].map((file) => `engine/${file}`);

/** errors, keys, secrets and metrics import nothing of ours; everybody may import errors. */
export const rooms: Readonly<Record<string, Room>> = {
  errors: { may: [] },
  keys: { may: [] },
  secrets: { may: [] },
  metrics: { may: [] },
  extensions: { may: [] },
  config: { may: ['config-reader'] },
  'config-reader': { may: [] },
  log: { may: [], mayTypes: ['config'] },
  engine: { may: [] },
  nodes: { may: ['extensions', ...engineHelpers] },
  sources: { may: [], mayTypes: ['engine/types'], outside: ['node:http', 'node:https', 'node:net', 'node:tls', 'node:dns', 'undici', 'ai', '@ai-sdk/'] },
  store: { may: [], mayTypes: ['engine/types'] },
  runtime: { may: ['engine', 'nodes', 'sources', 'store', 'extensions', 'secrets'], mayTypes: ['config', 'log', 'metrics'] },
  tasks: { may: ['runtime'] },
  server: { may: ['config', 'keys', 'metrics', 'secrets', 'store', 'engine/validate'], mayTypes: ['engine/types', 'log'], outside: ['node:http', 'node:net'] },
  schema: { may: [] },
  embedded: { may: [], outside: ['node:net'] },
  cli: { may: ['*'], outside: ['node:net'] },
};

/** Modules that open connections, which only the rooms that name them may use. */
const outsideModules = ['node:http', 'node:https', 'node:http2', 'node:net', 'node:tls', 'node:dns', 'node:dgram', 'undici', 'ai', '@ai-sdk/'];

/** What a function of the engine cannot use and stay one whose result depends on its arguments alone. */
const impure = /\b(Date\.now|new Date\(\)|Math\.random|crypto\.random\w+|process\.\w+|performance\.now|setTimeout|setInterval|setImmediate|fetch)\b/;

export const roomsGate: Gate = (projectFolder) =>
  filesIn(projectFolder, ['src', 'tasks'], ['.ts']).flatMap((file) => {
    const room = roomOf(file);
    const rule = rooms[room];
    if (!rule) return [{ file, line: null, message: `${room} is no room of the table: name it there, with what it may import` }];
    const lines = readLines(projectFolder, file);
    return [
      ...importsOf(lines).flatMap((found) => importProblems(file, room, rule, found)),
      ...lines.flatMap((line, index) => lineProblems(file, room, line, index + 1)),
    ];
  });

export interface Import { specifier: string; isType: boolean; line: number }

/** Static imports, re-exports and `import()`, over several lines too. */
export function importsOf(lines: readonly string[]): Import[] {
  const text = lines.join('\n');
  const pattern = /^(?:import|export)\s+(?<type>type\s)?(?<names>[^'"`;]*?)\bfrom\s*['"](?<from>[^'"]+)['"]|^import\s*['"](?<bare>[^'"]+)['"]|(?<typeof>typeof\s+)?\bimport\(\s*['"](?<dynamic>[^'"]+)['"]\s*\)/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const { type, names = '', from, bare, dynamic, typeof: typeOf } = match.groups!;
    const specifiers = /\{([^}]*)\}/.exec(names)?.[1]?.split(',').map((name) => name.trim()).filter((name) => name !== '') ?? [];
    const onlyTypes = specifiers.length > 0 && !/^\s*\w/.test(names) && specifiers.every((name) => name.startsWith('type '));
    return {
      specifier: (from ?? bare ?? dynamic)!,
      isType: type !== undefined || onlyTypes || typeOf !== undefined,
      line: text.slice(0, match.index).split('\n').length,
    };
  });
}

function roomOf(file: string): string {
  const [top, second] = file.split('/');
  return top === 'tasks' ? 'tasks' : second!.replace(/\.ts$/, '');
}

function importProblems(file: string, room: string, rule: Room, { specifier, isType, line }: Import): Problem[] {
  if (!specifier.startsWith('.')) {
    const reaches = outsideModules.find((name) => specifier === name || (name.endsWith('/') && specifier.startsWith(name)) || specifier.startsWith(`${name}/`));
    const allowed = reaches === undefined || isType || (rule.outside ?? []).includes(reaches);
    return allowed ? [] : [{ file, line, message: `${room} may not import ${specifier}: only sources open connections to the outside` }];
  }
  const target = path.posix.join(path.posix.dirname(file), specifier);
  const targetRoom = target.startsWith('src/') || target.startsWith('tasks/') ? roomOf(target) : null;
  if (targetRoom === null) return [{ file, line, message: `${room} may not import ${specifier}: it lies outside of src/ and tasks/` }];
  if (targetRoom === room || targetRoom === 'errors' || rule.may.includes('*')) return room === 'errors' ? [{ file, line, message: 'errors imports nothing' }] : [];
  const allowed = [...rule.may, ...(isType ? (rule.mayTypes ?? []) : [])];
  const targetFile = target.replace(/^src\//, '').replace(/\.ts$/, '');
  if (allowed.includes(targetRoom) || allowed.includes(targetFile)) return [];
  const hint = rule.mayTypes?.some((name) => name === targetRoom || name === targetFile) ? ' except types' : '';
  return [{ file, line, message: `${room} may not import ${targetFile}${hint}` }];
}

function lineProblems(file: string, room: string, line: string, number: number): Problem[] {
  const code = line.replace(/\/\/.*$|^\s*\/?\*.*$/, '');
  const problems: Problem[] = [];
  if (room !== 'config' && /\bprocess\.env\b/.test(code)) problems.push({ file, line: number, message: 'only config reads the environment' });
  if (room === 'engine' && impure.test(code)) problems.push({ file, line: number, message: `the engine is pure: ${impure.exec(code)![0]} is not` });
  if (room === 'engine' && /from ['"]node:/.test(code)) problems.push({ file, line: number, message: 'the engine is pure: it imports no module of Node' });
  if (!['sources', 'cli'].includes(room) && /(?<![.\w])fetch\(/.test(code)) problems.push({ file, line: number, message: 'only sources open connections to the outside' });
  return problems;
}
