/** What sources are told by their surroundings. */

export interface SourceVariableRule {
  name: string;
  /** Slug of the only tenant that may; null for all. */
  tenant: string | null;
  /** Hosts that the value may be sent to; null: the hosts of the provider whose own variable it is. */
  hosts: readonly string[] | null;
}

export interface SourceSettings {
  sourceVariables: readonly SourceVariableRule[];
  /** Values of the variables that sources may possibly read, those that are set. */
  sourceValues: Readonly<Record<string, string>>;
  /** `host:port` that sources may reach although private. */
  allowHosts: readonly string[];
  llmGateway: { readonly url: string; readonly key: string | null } | null;
  mockLlm: boolean | null;
}
