/**
 * Which variables of the server's environment a source may read, and towards which host. A provider's own variable goes to that provider's
 * hosts without being listed; as soon as AGENTFLOW_SOURCE_ENV names a variable, its entries alone decide.
 */
import { NodeError } from '../errors.ts';
import type { SourceSettings, SourceVariableRule } from './settings.ts';

export interface VariableUse {
  variable: string;
  nodeId: string;
  tenantSlug: string;
  /** Host name that the value would be sent to. */
  host: string;
  /** The hosts of the provider whose own variable this is; empty when it is nobody's. */
  ownHosts: readonly string[];
}

/** Throws SOURCE_NOT_ALLOWED, whether or not the variable is set, or SOURCE_KEY_MISSING. */
export function readVariable(settings: SourceSettings, use: VariableUse): string {
  const { variable, nodeId, tenantSlug, host } = use;
  if (!mayRead(settings.sourceVariables.filter((rule) => rule.name === variable), use)) {
    throw new NodeError('SOURCE_NOT_ALLOWED', `Node '${nodeId}': sources of tenant ${tenantSlug} may not send ${variable} to ${host}; the operator may list it in AGENTFLOW_SOURCE_ENV.`);
  }
  const value = Object.hasOwn(settings.sourceValues, variable) ? settings.sourceValues[variable]! : '';
  if (value === '') throw new NodeError('SOURCE_KEY_MISSING', `Node '${nodeId}' needs ${variable}, and it is not set.`);
  return value;
}

function mayRead(rules: readonly SourceVariableRule[], { tenantSlug, host, ownHosts }: VariableUse): boolean {
  if (rules.length === 0) return ownHosts.includes(host);
  return rules.some((rule) => (rule.tenant === null || rule.tenant === tenantSlug)
    && (rule.hosts ?? ownHosts).some((pattern) => matches(pattern, host)));
}

/** `*.example.com` is every name under it. A port in the pattern says nothing about which names it means. */
function matches(pattern: string, host: string): boolean {
  const name = pattern.replace(/:\d+$/, '');
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) : name === host;
}
