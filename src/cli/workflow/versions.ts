import { AgentFlowError } from '../../errors.ts';
import type { VersionRow, WorkflowRow } from '../../store/workflow-rows.ts';

/** @throws AgentFlowError USAGE */
export function versionNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new AgentFlowError('USAGE', `${text} is no version: versions are whole numbers from 1.`);
}

/** @throws AgentFlowError NOT_FOUND */
export function demandVersion({ name, version: present }: WorkflowRow, versions: readonly VersionRow[], wanted: number): VersionRow {
  const found = versions.find(({ version }) => version === wanted);
  if (found) return found;
  throw new AgentFlowError('NOT_FOUND', `${name} has no version ${wanted}; the present one is ${present}.`, { remedy: 'agentflow workflow show lists the versions.' });
}
