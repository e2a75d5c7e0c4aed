/** A plan as a mermaid diagram, coloured by how its nodes fared. */
import { endTargets } from './keys.ts';
import type { EdgeSpec, NodeStatus, Plan, PlanNode } from './types.ts';

const colours: Readonly<Record<NodeStatus, string>> = {
  pending: 'fill:#ffffff,stroke:#9e9e9e,color:#424242',
  running: 'fill:#bbdefb,stroke:#1976d2,color:#0d2b4e',
  waiting: 'fill:#fff3cd,stroke:#b8860b,color:#4e3b00',
  rate_limited: 'fill:#ffe0b2,stroke:#ef6c00,color:#4a2500',
  completed: 'fill:#c8e6c9,stroke:#2e7d32,color:#10330f',
  failed: 'fill:#ffcdd2,stroke:#c62828,color:#4a0d0d',
  timed_out: 'fill:#ffcdd2,stroke:#c62828,color:#4a0d0d,stroke-dasharray:4',
  cancelled: 'fill:#e1bee7,stroke:#6a1b9a,color:#2f0b45',
  skipped: 'fill:#f5f5f5,stroke:#bdbdbd,color:#9e9e9e,stroke-dasharray:4',
};

export function diagramOf(plan: Plan, statuses: Readonly<Record<string, NodeStatus>> = {}): string {
  const nodes = [...plan.nodes.values()];
  const alias = new Map(nodes.map(({ id, index }) => [id, `n${index}`]));
  const edges = nodes.flatMap((node) => node.outgoing.flatMap((edge) => edge.to.map((target) => arrow(edge, alias.get(edge.from) as string, alias.get(target) ?? 'done'))));
  const used = new Set(nodes.flatMap(({ id }) => (Object.hasOwn(statuses, id) ? [statuses[id] as NodeStatus] : [])));
  return [
    'flowchart TD',
    ...nodes.map((node) => `  ${shape(node)}`),
    ...(plan.document.edges.some(({ to }) => to.some((target) => endTargets.has(target))) ? ['  done(("end"))'] : []),
    ...edges.map((edge) => `  ${edge}`),
    ...[...used].map((status) => `  classDef ${status} ${colours[status]}`),
    ...nodes.flatMap(({ id, index }) => (Object.hasOwn(statuses, id) ? [`  class n${index} ${statuses[id] as string}`] : [])),
  ].join('\n');
}

/** Routers are diamonds, effects rounded, people and clocks hexagons. */
function shape({ id, type, index, hasEffect }: PlanNode): string {
  const label = `"${escaped(id)}<br/><small>${escaped(type)}</small>"`;
  if (type === 'router') return `n${index}{${label}}`;
  if (type === 'approval' || type === 'delay') return `n${index}{{${label}}}`;
  return hasEffect ? `n${index}(${label})` : `n${index}[${label}]`;
}

function arrow(edge: EdgeSpec, from: string, to: string): string {
  const label = edge.label ?? edge.condition ?? (edge.isDefault ? 'default' : null);
  return label === null ? `${from} --> ${to}` : `${from} -->|"${escaped(label)}"| ${to}`;
}

function escaped(text: string): string {
  return text.slice(0, 120).replace(/[&"<>#;\n`|{}[\]()\\]/g, (character) => `#${character.codePointAt(0) as number};`);
}
