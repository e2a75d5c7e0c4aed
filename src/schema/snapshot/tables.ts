/** tables.md: one section a table, with everything that is to know about it in one place. */
import { parse, type DefinitionNode, type ObjectTypeDefinitionNode } from 'graphql';
import type { ColumnModel, TableModel } from './model.ts';

/** `sdl`: the GraphQL schema, to name the type that shows a table. */
export function renderTables(tables: TableModel[], sdl: string | null): string {
  const types = objectTypes(sdl);
  const contents = tables.map(({ schema, name }) => `- [${schema}.${name}](#${schema}${name})`.replace(/#\S+(?=\))/, anchor(`${schema}.${name}`)));
  return [
    '# Tables', '',
    'Written by `agentflow db snapshot`; a test fails while it is not what the migrations make. Columns show what `agentflow_user`, the role of every',
    'signed-in request, may do: s(elect), i(nsert), u(pdate). Which rows it may do it to is what the policies say.', '',
    ...contents, '',
    ...tables.flatMap((table) => section(table, types)),
  ].join('\n');
}

function section(table: TableModel, types: Map<string, string[]>): string[] {
  const type = typeName(table.name);
  const fields = table.schema === 'app_public' ? types.get(type) : undefined;
  return [
    `## ${table.schema}.${table.name}`, '',
    ...(table.comment === null ? [] : [withoutTags(table.comment), '']),
    `Row-level security: ${table.secured ? 'on' : 'OFF'}${table.forced ? ', forced' : ', NOT FORCED'}.${table.partitioned_by === null ? '' : ` Partitioned by ${table.partitioned_by.toLowerCase()}, a month each.`}`
      + ` GraphQL: ${fields === undefined ? 'not shown' : `\`${type}\``}.`, '',
    '| column | type | | default | may | |', '|---|---|---|---|---|---|',
    ...table.columns.map((column) => columnRow(column)), '',
    ...list('Keys', table.constraints.filter(({ kind }) => kind === 'p' || kind === 'u').map(({ name, definition }) => `\`${name}\` ${definition.toLowerCase()}`)),
    ...list('References', table.constraints.filter(({ kind }) => kind === 'f').map(({ name, definition }) => `\`${name}\` ${definition.replace(/^FOREIGN KEY /, '').toLowerCase()}`)),
    ...list('Checks', table.constraints.filter(({ kind }) => kind === 'c').map(({ name, definition }) => `\`${name}\` ${code(definition.replace(/^CHECK /, ''))}`)),
    ...list('Indexes', table.indexes.filter(({ name }) => !table.constraints.some((constraint) => constraint.name === name)).map(({ name, definition }) => `\`${name}\` ${indexOn(definition)}`)),
    ...list('Policies', table.policies.flatMap(({ name, command, roles, using, check }) => [
      `\`${name}\` for ${command} to ${roles}`,
      ...(using === null ? [] : [`  - using ${code(using)}`]), ...(check === null || check === using ? [] : [`  - with check ${code(check)}`]),
    ])),
    ...list('Triggers', table.triggers.map(({ name, definition, comment }) => `\`${name}\` ${whenOf(definition)}, \`${callOf(definition)}\`: ${comment === null ? 'no comment' : withoutTags(comment)}`)),
    ...list('Rights on the whole table', table.rights.map(({ role, privilege }) => `${role}: ${privilege}`)),
  ];
}

function columnRow({ name, type, required, default: value, comment, isKey, isReference, rights }: ColumnModel): string {
  const marks = [isKey ? 'key' : '', isReference ? 'reference' : '', required && !isKey ? 'not null' : ''].filter((mark) => mark !== '').join(', ');
  const cells = [`\`${name}\``, shortType(type), marks, value === null ? '' : code(value), rights.map((right) => right[0]).join(' '), comment === null ? '' : withoutTags(comment)];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function list(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`**${title}**`, '', ...lines.map((line) => (line.startsWith('  ') ? line : `- ${line}`)), ''];
}

/** Comments begin with PostGraphile's smart tags, a line each. */
function withoutTags(comment: string): string {
  return comment.split('\n').filter((line) => !line.startsWith('@')).join(' ').trim();
}

/** As people write it: without the casts, aliases and parentheses that PostgreSQL adds when it prints. */
function code(sql: string): string {
  const plain = sql.replace(/\s+/g, ' ')
    .replace(/::(?:text|character varying|bpchar|numeric|jsonb|app_public\.\w+)(?:\[\])?/g, '')
    .replace(/\( SELECT (\S+?\([^()]*\)) AS \w+\)/g, '(select $1)')
    .replace(/(?<![\w.])\((\w+)\)/g, '$1')
    .replace(/= ANY \(\(ARRAY\[([^\]]*)\]\)\)|= ANY \(ARRAY\[([^\]]*)\]\)/g, (_match, one?: string, other?: string) => `in (${one ?? other})`)
    .replace(/\b(?:AND|OR|NOT|IS|NULL|TRUE|FALSE|EXISTS|SELECT|FROM|WHERE|CASE|WHEN|THEN|ELSE|END)\b/g, (word) => word.toLowerCase());
  return `\`${withoutOuterParentheses(plain)}\``;
}

function withoutOuterParentheses(sql: string): string {
  if (!sql.startsWith('(')) return sql;
  let depth = 0;
  for (const [index, character] of [...sql].entries()) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth === 0) return index === sql.length - 1 ? withoutOuterParentheses(sql.slice(1, -1)) : sql;
  }
  return sql;
}

function indexOn(definition: string): string {
  const unique = definition.startsWith('CREATE UNIQUE') ? 'unique ' : '';
  return `${unique}${definition.replace(/^.* USING /s, '')}`;
}

function whenOf(definition: string): string {
  const match = /\b(BEFORE|AFTER|INSTEAD OF) (.*?) ON .* FOR EACH (ROW|STATEMENT)/s.exec(definition);
  return match ? `${match[1]} ${match[2]}, each ${match[3]}`.toLowerCase() : '';
}

/** The function with its arguments: of a transition trigger they are the rule. */
function callOf(definition: string): string {
  return /EXECUTE FUNCTION (?:app_private\.)?(.*)$/s.exec(definition)?.[1] ?? '';
}

export function shortType(type: string): string {
  return type.replace('character varying', 'varchar').replace('timestamp with time zone', 'timestamptz').replace(/^app_public\./, '');
}

function objectTypes(sdl: string | null): Map<string, string[]> {
  const definitions: readonly DefinitionNode[] = sdl === null ? [] : parse(sdl).definitions;
  const isObject = (node: DefinitionNode): node is ObjectTypeDefinitionNode => node.kind === 'ObjectTypeDefinition';
  return new Map(definitions.filter(isObject).map((node) => [node.name.value, (node.fields ?? []).map((field) => field.name.value)]));
}

/** `api_keys` is shown as `ApiKey`. */
function typeName(table: string): string {
  const singular = table.replace(/ies$/, 'y').replace(/([^s])s$/, '$1');
  return singular.split('_').map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
}

function anchor(heading: string): string {
  return `#${heading.toLowerCase().replace(/[^\w-]/g, '')}`;
}
