/**
 * Draws what was measured: reads the JSON that `--json` gave from docs/performance/NAME.json and writes an SVG beside each.
 * Vega and Vega-Lite draw; they are installed on demand.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectFolder } from '../src/schema/migrate.ts';
import type { Comparison } from './support/comparison.ts';
import { installPeer } from './support/peers.ts';

type Drawn = Record<string, string | number>;

interface Plot {
  /** Of the JSON file, and so of the picture. */
  name: string;
  /** Rows out of the JSON, as the bench prints it. */
  rows(results: never): Drawn[];
  spec: object;
}

interface Growth {
  before: { executions: number };
  after: { executions: number };
  growth: { query: string; before: { p99: number }; after: { p99: number } }[];
}

const folder = path.join(projectFolder, 'docs', 'performance');
const bars = (field: string, title: string, scale: 'log' | 'linear' = 'log'): object => ({
  mark: 'bar', width: 420,
  encoding: {
    y: { field: 'engine', type: 'nominal', sort: null, title: null }, x: { field, type: 'quantitative', title, scale: { type: scale } },
    row: { field: 'what', type: 'nominal', title: null }, color: { field: 'engine', type: 'nominal', legend: null },
  },
});
const compared = (results: Comparison[]): Drawn[] => results.map(({ engine, kind, perSecond, p50, serverCpuMs, nodeCpuMs }) => ({
  engine, what: `${kind} nodes`, perSecond: Math.round(perSecond), p50, cpu: serverCpuMs + nodeCpuMs,
}));
const lines = (x: string, y: string, title: string): object => ({
  mark: { type: 'line', point: true }, width: 420, height: 240,
  encoding: { x: { field: x, type: 'quantitative', title: x }, y: { field: y, type: 'quantitative', title, scale: { zero: true } } },
});

const plots: Plot[] = [
  { name: 'executions', rows: compared, spec: bars('perSecond', 'durable executions a second (log scale)') },
  { name: 'executions', rows: compared, spec: { ...bars('p50', 'one at a time: median, milliseconds (log scale)'), title: 'latency' } },
  { name: 'flows', rows: compared, spec: bars('perSecond', 'executions of three steps a second (log scale)') },
  { name: 'starts', rows: (results: { way: string; perSecond: number }[]) => results.map(({ way, perSecond }) => ({ engine: way, what: 'starts', perSecond: Math.round(perSecond) })), spec: bars('perSecond', 'executions started a second (log scale)') },
  { name: 'scale', rows: (results: { processes: number; perSecond: number }[]) => results.map(({ processes, perSecond }) => ({ processes, perSecond: Math.round(perSecond) })), spec: lines('processes', 'perSecond', 'executions a second') },
  { name: 'growth', rows: growthRows, spec: { ...lines('executions', 'p99', 'p99, milliseconds'), encoding: { x: { field: 'executions', type: 'quantitative', scale: { type: 'log' }, axis: { format: 's' } }, y: { field: 'p99', type: 'quantitative', title: 'p99, milliseconds' }, color: { field: 'query', type: 'nominal' } } } },
];

export const usage = `bench plots     draws docs/performance/*.json (what --json gives) as SVG beside them`;

export async function run(): Promise<void> {
  const packages = installPeer('plots');
  if (packages === null) {
    process.exitCode = 1;
    return;
  }
  for (const plot of plots) {
    const file = path.join(folder, `${plot.name}.json`);
    if (!existsSync(file)) continue;
    const rows = plot.rows(JSON.parse(readFileSync(file, 'utf8')) as never);
    const picture = path.join(folder, `${plot.name}${'title' in plot.spec ? `-${String(plot.spec.title)}` : ''}.svg`);
    writeFileSync(picture, await svgOf({ $schema: 'https://vega.github.io/schema/vega-lite/v6.json', background: 'white', data: { values: rows }, ...plot.spec }, packages));
    process.stdout.write(`${path.relative(projectFolder, picture)}\n`);
  }
}

async function svgOf(spec: object, packages: string): Promise<string> {
  const load = (name: string, file: string): Promise<unknown> => import(pathToFileURL(path.join(packages, 'node_modules', name, file)).href);
  const { compile } = await load('vega-lite', 'build/index.js') as { compile(spec: object): { spec: object } };
  const vega = await load('vega', 'build/vega.module.js') as { parse(spec: object): object; View: new (parsed: object, options: object) => { toSVG(): Promise<string> } };
  return await new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}

/** Of `bench growth`: one row a size and query. */
function growthRows({ before, after, growth }: Growth): Drawn[] {
  return growth.flatMap(({ query, before: young, after: grown }) => [
    { executions: before.executions, query, p99: young.p99 }, { executions: after.executions, query, p99: grown.p99 },
  ]);
}
