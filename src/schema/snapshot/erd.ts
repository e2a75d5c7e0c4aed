/** The entity-relationship diagram: as mermaid, for who reads the repository, and as an SVG that is drawn offline. */
import type { ColumnModel, ConstraintModel, TableModel } from './model.ts';
import { shortType } from './tables.ts';

export function renderMermaid(tables: TableModel[]): string {
  const drawn = publicTables(tables);
  return [
    'erDiagram',
    ...drawn.flatMap((table) => referencesOf(table).map(({ target, columns, isOptional }) =>
      `  ${target} ${isOptional ? '|o' : '||'}--o{ ${table.name} : "${columns.join(', ')}"`)),
    ...drawn.flatMap((table) => [
      `  ${table.name} {`,
      ...table.columns.map((column) => `    ${mermaidType(column)} ${column.name}${marksOf(column)}`),
      '  }',
    ]),
    '',
  ].join('\n');
}

/** Graphviz's language, for `drawSvg`. Fonts of one width measure alike everywhere: others would run out of their boxes where they are replaced. */
export function renderDot(tables: TableModel[]): string {
  const drawn = publicTables(tables);
  return [
    'digraph erd {',
    '  graph [rankdir=LR, nodesep=0.35, ranksep=0.9, bgcolor="white", pad=0.3]',
    '  node [shape=plain, fontname="Courier", fontsize=10]',
    '  edge [dir=both, arrowtail=none, arrowhead=crow, color="#666666"]',
    ...drawn.map((table) => `  ${table.name} [label=<${tableLabel(table)}>]`),
    ...drawn.flatMap((table) => referencesOf(table).filter(({ target }) => target !== 'tenants').map(({ target, isOptional }) =>
      `  ${target} -> ${table.name} [style=${isOptional ? 'dashed' : 'solid'}]`)),
    '}',
  ].join('\n');
}

export async function drawSvg(dot: string): Promise<string> {
  const { instance } = await import('@viz-js/viz');
  const svg = (await instance()).renderString(dot, { format: 'svg', engine: 'dot' });
  // Comments name the version of the program: nothing about the schema.
  return `${svg.slice(svg.indexOf('<svg')).replace(/<!--[\s\S]*?-->\n?/g, '').trim()}\n`;
}

function publicTables(tables: TableModel[]): TableModel[] {
  return tables.filter(({ schema }) => schema === 'app_public');
}

function referencesOf(table: TableModel): { target: string; columns: string[]; isOptional: boolean }[] {
  const isOptional = ({ columns }: ConstraintModel): boolean => columns.some((name) => !table.columns.find((column) => column.name === name)?.required);
  return table.constraints.filter(({ kind }) => kind === 'f').map((constraint) => {
    const own = constraint.columns.filter((name) => name !== 'tenant_id');
    return { target: constraint.target!, columns: own.length === 0 ? ['tenant_id'] : own, isOptional: isOptional(constraint) };
  });
}

/** Every table belongs to a tenant, so only the name of that column says so; audit columns are left out of the drawing. */
function tableLabel(table: TableModel): string {
  const cell = (text: string, more = ''): string => `<td align="left"${more}>${text}</td>`;
  const rows = table.columns.filter(({ name }) => !/^(created|updated|deleted)_(at|by)$/.test(name)).map((column) =>
    `<tr>${cell(column.isKey ? `<b>${column.name}</b>` : column.isReference ? `<i>${column.name}</i>` : column.name)}${cell(`<font color="#777777">${shortType(column.type)}${column.required ? '' : ' ?'}</font>`)}</tr>`);
  return `<table border="1" cellborder="0" cellspacing="0" cellpadding="2" color="#999999" bgcolor="#ffffff"><tr><td colspan="2" bgcolor="#e8eef7"><b>${table.name}</b></td></tr>${rows.join('')}</table>`;
}

function marksOf({ isKey, isReference }: ColumnModel): string {
  const marks = [...(isKey ? ['PK'] : []), ...(isReference ? ['FK'] : [])];
  return marks.length === 0 ? '' : ` ${marks.join(', ')}`;
}

/** mermaid's types are one word. */
function mermaidType({ type }: ColumnModel): string {
  return shortType(type).replace(/[(,]/g, '_').replace(/\)/g, '').replace(/\[\]/g, '_array').replace(/\W+/g, '_');
}
