/** A plan under the caps of a tenant. */
import { cappedLimits } from '../engine/index.ts';
import { limitKeys } from '../engine/limits.ts';
import type { Limits, Plan } from '../engine/types.ts';

const capped = new WeakMap<Plan, Map<string, Plan>>();

/** The same plan, under the tighter of its own limits and the caps. `caps`: by the names of a document's `limits`. */
export function underCaps(plan: Plan, caps: Record<string, number> | null): Plan {
  if (caps === null) return plan;
  const known = capped.get(plan) ?? new Map<string, Plan>();
  capped.set(plan, known);
  const key = JSON.stringify(caps);
  const ready = known.get(key) ?? { ...plan, document: { ...plan.document, limits: cappedLimits(plan.document.limits, limitsOf(caps)) } };
  if (known.size < 10) known.set(key, ready);
  return ready;
}

function limitsOf(caps: Record<string, number>): Partial<Limits> {
  const fields = limitKeys as Readonly<Record<string, keyof Limits>>;
  return Object.fromEntries(Object.entries(caps).flatMap(([name, value]) => (fields[name] === undefined ? [] : [[fields[name], value]])));
}
