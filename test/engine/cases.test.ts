import { describe, expect, test } from '@jest/globals';
import { drive, type Driven } from '../support/engine-driver.ts';
import { workflowCases, type WorkflowCase } from '../support/workflow-cases.ts';

function seen(driven: Driven, wanted: WorkflowCase['expect']): Record<string, unknown> {
  const path = driven.state.data['execution_path'] as string[];
  const among = (all: Record<string, unknown>, keys: Record<string, unknown>): Record<string, unknown> => Object.fromEntries(Object.keys(keys).map((key) => [key, all[key]]));
  return {
    status: driven.state.status,
    ...(wanted.path && { path }),
    ...(wanted.path_ends_with && { path_ends_with: path.slice(-wanted.path_ends_with.length) }),
    ...(wanted.runs && { runs: among(driven.runs, wanted.runs) }),
    ...(wanted.node_status && { node_status: among(driven.nodeStatus, wanted.node_status) }),
    ...(wanted.attempts && { attempts: among(driven.attempts, wanted.attempts) }),
    ...(wanted.state && { state: among(driven.state.data, wanted.state) }),
    ...(wanted.prompts && { prompts: among(driven.asked, wanted.prompts) }),
    ...(wanted.error_node && { error_node: driven.error?.nodeId }),
    ...(wanted.warnings && { warnings: driven.state.warnings.map(({ code }) => code) }),
  };
}

describe('workflow cases', () => {
  test.each(workflowCases)('%s', async (_name, { about, expect: wanted, ...script }) => {
    const { error_contains: contains, ...exact } = wanted;
    const driven = await drive(script);
    expect({ about, ...seen(driven, wanted) }).toEqual({ about, ...exact });
    expect(driven.error?.message ?? '').toContain(contains ?? '');
    expect(driven.error === null).toBe(wanted.status === 'completed');
  });
});
