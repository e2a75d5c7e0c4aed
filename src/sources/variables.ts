/**
 * Which variables of the server's environment a source may read, and towards which host. A provider's own variable goes to that provider's
 * hosts without being listed; as soon as AGENTFLOW_SOURCE_ENV names a variable, its entries alone decide.
 */
import { NodeError } from '../errors.ts';
import type { SourceSettings } from './settings.ts';

export interface VariableUse {
  variable: string;
  /** The beginning of messages: node and source. */
  place: string;
  tenantSlug: string;
  /** Host name that the value would be sent to; of a connection, the value itself says it. */
  host: string | ((value: string) => string);
  /** The hosts of the provider whose own variable this is; empty when it is nobody's. */
  ownHosts: readonly string[];
}

/** Throws SOURCE_NOT_ALLOWED, whether or not the variable is set, or SOURCE_KEY_MISSING. */
export function readVariable(settings: SourceSettings, use: VariableUse): string {
  // It may be the key itself: it is not repeated.
  if (!/^[A-Za-z_]\w*$/.test(use.variable)) throw new NodeError('SOURCE_NOT_ALLOWED', `${use.place} names something that cannot be a variable.`, { remedy: 'Put the name of a variable there, and the key into that variable; or store it with createSecret.' });
  const { variable, place, tenantSlug } = use;
  const value = Object.hasOwn(settings.sourceValues, variable) ? settings.sourceValues[variable]! : '';
  const named = settings.sourceVariables.filter((rule) => rule.name === variable);
  const rules = named.filter((rule) => rule.tenant === null || rule.tenant === tenantSlug);
  const isNobodys = named.length > 0 ? rules.length === 0 : use.ownHosts.length === 0;
  if (isNobodys) throw notAllowed(use, 'anywhere');
  if (value === '' && typeof use.host !== 'string') throw missing(use);
  const host = typeof use.host === 'string' ? use.host : use.host(value);
  const isAllowed = named.length === 0 ? use.ownHosts.includes(host)
    : rules.some((rule) => (rule.hosts ?? use.ownHosts).some((pattern) => hostMatches(pattern, host)));
  if (!isAllowed) throw notAllowed(use, `to ${host}`);
  if (value === '') throw missing({ variable, place });
  return value;
}

function notAllowed({ variable, place, tenantSlug }: VariableUse, where: string): NodeError {
  return new NodeError('SOURCE_NOT_ALLOWED', `${place} may not send ${variable} ${where} for tenant ${tenantSlug}; the operator may list it in AGENTFLOW_SOURCE_ENV.`);
}

function missing({ variable, place }: Pick<VariableUse, 'variable' | 'place'>): NodeError {
  return new NodeError('SOURCE_KEY_MISSING', `${place} needs ${variable}, and it is not set.`);
}

/** `*.example.com` is every name under it. A port in the pattern says nothing about which names it means. */
export function hostMatches(pattern: string, host: string): boolean {
  const name = pattern.replace(/:\d+$/, '');
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) : name === host;
}
