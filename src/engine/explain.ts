/** A plan as a picture, its nodes coloured by how they fared, with time and tokens on them: mermaid for whoever reads it, Graphviz's language for drawing it here. */
import { endTargets } from './keys.ts';
import type { EdgeSpec, NodeStatus, Plan, PlanNode } from './types.ts';

interface Colours { fill: string; stroke: string; color: string; 'stroke-dasharray'?: string }

const colours: Readonly<Record<NodeStatus, Colours>> = {
  pending: { fill: '#ffffff', stroke: '#9e9e9e', color: '#424242' },
  running: { fill: '#bbdefb', stroke: '#1976d2', color: '#0d2b4e' },
  waiting: { fill: '#fff3cd', stroke: '#b8860b', color: '#4e3b00' },
  rate_limited: { fill: '#ffe0b2', stroke: '#ef6c00', color: '#4a2500' },
  completed: { fill: '#c8e6c9', stroke: '#2e7d32', color: '#10330f' },
  failed: { fill: '#ffcdd2', stroke: '#c62828', color: '#4a0d0d' },
  timed_out: { fill: '#ffcdd2', stroke: '#c62828', color: '#4a0d0d', 'stroke-dasharray': '4' },
  cancelled: { fill: '#e1bee7', stroke: '#6a1b9a', color: '#2f0b45' },
  skipped: { fill: '#f5f5f5', stroke: '#bdbdbd', color: '#9e9e9e', 'stroke-dasharray': '4' },
};

/** How a node fared, as far as a picture shows it. */
export interface NodePicture {
  status: NodeStatus;
  /** From start to end, waits included; null before the end. */
  seconds: number | null;
  tokens: number;
}

export type NodePictures = Readonly<Record<string, NodePicture>>;

export function diagramOf(plan: Plan, pictures: NodePictures = {}): string {
  const nodes = [...plan.nodes.values()];
  const alias = aliases(nodes);
  const edges = arrows(nodes).map(({ edge, target }) => mermaidArrow(edge, alias.get(edge.from) as string, alias.get(target) ?? 'done'));
  const shown = nodes.filter(({ id }) => Object.hasOwn(pictures, id));
  const used = new Set(shown.map(({ id }) => (pictures[id] as NodePicture).status));
  return [
    'flowchart TD',
    ...nodes.map((node) => `  ${mermaidNode(node, factsOf(node, pictures))}`),
    ...(hasEnd(plan) ? ['  done(("end"))'] : []),
    ...edges.map((edge) => `  ${edge}`),
    ...[...used].map((status) => `  classDef ${status} ${Object.entries(colours[status]).map(([key, value]) => `${key}:${value}`).join(',')}`),
    ...shown.map(({ id, index }) => `  class n${index} ${(pictures[id] as NodePicture).status}`),
  ].join('\n');
}

/** For Graphviz. Fonts of one width measure alike everywhere: others would run out of their boxes where they are replaced. */
export function dotOf(plan: Plan, pictures: NodePictures = {}): string {
  const nodes = [...plan.nodes.values()];
  const alias = aliases(nodes);
  return [
    'digraph workflow {',
    '  graph [bgcolor="white", pad=0.3, nodesep=0.4, ranksep=0.5]',
    '  node [fontname="Courier", fontsize=11, style="filled", fillcolor="#ffffff", color="#616161", margin="0.15,0.08"]',
    '  edge [fontname="Courier", fontsize=9, color="#616161", fontcolor="#424242"]',
    ...nodes.map((node) => `  n${node.index} [${dotNode(node, pictures)}]`),
    ...(hasEnd(plan) ? ['  done [label="end", shape=circle]'] : []),
    ...arrows(nodes).map(({ edge, target }) => {
      const label = labelOf(edge);
      return `  ${alias.get(edge.from) as string} -> ${alias.get(target) ?? 'done'}${label === null ? '' : ` [label=${quoted(label)}]`}`;
    }),
    '}',
  ].join('\n');
}

function aliases(nodes: readonly PlanNode[]): Map<string, string> {
  return new Map(nodes.map(({ id, index }) => [id, `n${index}`]));
}

function arrows(nodes: readonly PlanNode[]): { edge: EdgeSpec; target: string }[] {
  return nodes.flatMap(({ outgoing }) => outgoing.flatMap((edge) => edge.to.map((target) => ({ edge, target }))));
}

function hasEnd({ document }: Plan): boolean {
  return document.edges.some(({ to }) => to.some((target) => endTargets.has(target)));
}

/** What stands under the name: the type, then time and tokens. */
function factsOf({ id, type }: PlanNode, pictures: NodePictures): string[] {
  const picture = Object.hasOwn(pictures, id) ? (pictures[id] as NodePicture) : null;
  const facts = [...(picture?.seconds == null ? [] : [secondsText(picture.seconds)]), ...(picture && picture.tokens > 0 ? [`${picture.tokens} tokens`] : [])];
  return facts.length === 0 ? [type] : [type, facts.join(', ')];
}

function secondsText(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1_000)} ms`;
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

/** Routers are diamonds, effects rounded, people and clocks hexagons. */
function mermaidNode({ id, type, index, hasEffect }: PlanNode, facts: readonly string[]): string {
  const label = `"${escaped(id)}${facts.map((fact) => `<br/><small>${escaped(fact)}</small>`).join('')}"`;
  if (type === 'router') return `n${index}{${label}}`;
  if (type === 'approval' || type === 'delay') return `n${index}{{${label}}}`;
  return hasEffect ? `n${index}(${label})` : `n${index}[${label}]`;
}

function dotNode(node: PlanNode, pictures: NodePictures): string {
  const { id, type, hasEffect } = node;
  const shape = type === 'router' ? 'diamond' : type === 'approval' || type === 'delay' ? 'hexagon' : 'box';
  const picture = Object.hasOwn(pictures, id) ? (pictures[id] as NodePicture) : null;
  const { fill, stroke, color, ...rest } = colours[picture?.status ?? 'pending'];
  const styles = ['filled', ...(shape === 'box' && hasEffect ? ['rounded'] : []), ...('stroke-dasharray' in rest ? ['dashed'] : [])];
  return `label=${quoted([id, ...factsOf(node, pictures)].join('\n'))}, shape=${shape}, style="${styles.join(',')}", fillcolor="${fill}", color="${stroke}", fontcolor="${color}"`;
}

function quoted(text: string): string {
  return `"${text.slice(0, maxLabel).replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n')}"`;
}

function mermaidArrow(edge: EdgeSpec, from: string, to: string): string {
  const label = labelOf(edge);
  return label === null ? `${from} --> ${to}` : `${from} -->|"${escaped(label)}"| ${to}`;
}

function labelOf({ label, condition, isDefault }: EdgeSpec): string | null {
  return label ?? condition ?? (isDefault ? 'default' : null);
}

const maxLabel = 120;

function escaped(text: string): string {
  return text.slice(0, maxLabel).replace(/[&"<>#;\n`|{}[\]()\\]/g, (character) => `#${character.codePointAt(0) as number};`);
}
