/** Which edges of a finished node are taken. */
import { asText } from './json.ts';
import { endTargets } from './keys.ts';
import { evaluateCondition, type ExpressionScope } from './expression.ts';
import type { EdgeSpec, Json, JsonObject, NodeSpec, PlanEdge } from './types.ts';

/** A condition that is this word alone asks for dispatch by intent. */
const intentWord = 'intent';

/** The edges of which exactly one target is taken, by intent; empty when the node does not dispatch. */
export function dispatchEdges(node: { type: string; parameters: JsonObject }, outgoing: readonly EdgeSpec[]): EdgeSpec[] {
  const asked = outgoing.filter((edge) => edge.condition === intentWord);
  const free = outgoing.filter((edge) => edge.condition === null && !edge.isDefault);
  const routes = node.type === 'router' && node.parameters.strategy !== 'default' && targetsOf(free).length > 1;
  return routes ? outgoing.filter((edge) => asked.includes(edge) || free.includes(edge)) : asked;
}

export function targetsOf(edges: readonly EdgeSpec[]): string[] {
  return [...new Set(edges.flatMap((edge) => edge.to))];
}

export interface Taken {
  /** Targets of the edges taken, `end` left out, in document order of the edges. */
  targets: Set<string>;
  /** Set when dispatch by intent found nothing and took the first target. */
  fellBackTo: string | null;
}

export interface DispatchInput {
  node: Pick<NodeSpec, 'id' | 'type' | 'parameters'>;
  outgoing: readonly PlanEdge[];
  /** Intent of the nearest router on the way; undefined when there is none. */
  intent: Json | undefined;
  routeTarget: string | null;
  scope: ExpressionScope;
  typeOf(nodeId: string): string | undefined;
}

/** @throws AgentFlowError EXPRESSION_FAILED naming the edge. */
export function takeEdges(input: DispatchInput): Taken {
  const group = groupOf(input);
  const taken = new Set<string>();
  let any = group.length > 0;
  for (const edge of input.outgoing) {
    if (group.includes(edge) || (edge.condition === null && edge.isDefault)) continue;
    if (edge.condition !== null && !evaluateCondition(edge.condition, input.scope, `edges.${edge.index}.condition`)) continue;
    any = true;
    for (const target of edge.to) taken.add(target);
  }
  let fellBackTo: string | null = null;
  if (group.length > 0) {
    const chosen = chooseByIntent(input, targetsOf(group));
    for (const target of chosen.targets) taken.add(target);
    fellBackTo = chosen.fellBackTo;
  }
  if (!any) for (const target of targetsOf(input.outgoing.filter((edge) => edge.isDefault))) taken.add(target);
  return { targets: withoutEnds(taken), fellBackTo };
}

/** The edges of a node in a plan are the same list each time. */
const groups = new WeakMap<readonly PlanEdge[], EdgeSpec[]>();

function groupOf({ node, outgoing }: DispatchInput): EdgeSpec[] {
  const known = groups.get(outgoing);
  if (known !== undefined) return known;
  const group = dispatchEdges(node, outgoing);
  groups.set(outgoing, group);
  return group;
}

function withoutEnds(targets: Set<string>): Set<string> {
  for (const end of endTargets) targets.delete(end);
  return targets;
}

/** The route's own target, the id equal to the intent, an id that contains it, the type that serves it, the default edge, the first. */
function chooseByIntent({ outgoing, intent, routeTarget, typeOf }: DispatchInput, candidates: string[]): { targets: string[]; fellBackTo: string | null } {
  const everywhere = targetsOf(outgoing);
  const wanted = intent === undefined || intent === null ? '' : asText(intent);
  const chosen = (routeTarget !== null && everywhere.includes(routeTarget) ? routeTarget : undefined)
    ?? (wanted === '' ? undefined : candidates.find((id) => id === wanted) ?? candidates.find((id) => id.includes(wanted)))
    ?? candidates.find((id) => typeOf(id) !== undefined && typeOf(id) === servingType(wanted));
  if (chosen !== undefined) return { targets: [chosen], fellBackTo: null };
  const fallback = outgoing.find((edge) => edge.isDefault);
  if (fallback) return { targets: fallback.to, fellBackTo: null };
  const first = candidates[0] as string;
  return { targets: [first], fellBackTo: first };
}

function servingType(intent: string): string | null {
  switch (intent) {
    case 'text': return 'llm';
    case 'image': return 'image';
    case 'database': return 'db';
    default: return null;
  }
}
