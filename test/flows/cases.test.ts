/**
 * Every case file of this folder, through GraphQL with a real worker. `run-*`: a definition, a context, what its tasks answer, and what becomes of it.
 * `refused-*`, `warned-*`: a definition and the problems, as code and place, that saving and validating it tell.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createFlow, startFlow, untilFlowOver, useFlows, type Definition, type FlowExecutionRow } from '../support/flows.ts';

interface RunCase {
  about: string;
  definition: Definition;
  context: Record<string, unknown>;
  script: Record<string, unknown>;
  expect: {
    status: string;
    total: number;
    /** Name and status of the tasks that have a row, in order. */
    tasks: [string, string][];
    error_task: string | null;
    error?: string;
    error_contains?: string;
    output?: Record<string, unknown> | null;
  };
}

interface CheckCase {
  about: string;
  /** Where they are not the definition's own. */
  columns?: { id: string; name: string; startTask: string };
  definition: Definition;
  problems: [code: string, field: string | null][];
  warnings?: [code: string, field: string | null][];
}

const folder = import.meta.dirname;
const names = readdirSync(folder).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));

/** The files of that kind, each with its name. */
function all<Case>(kind: RegExp): (Case & { name: string; about: string })[] {
  return names.filter((name) => kind.test(name)).map((name) => ({ name, ...JSON.parse(readFileSync(path.join(folder, `${name}.json`), 'utf8')) as Case & { about: string } }));
}

const flows = useFlows();

test('there are cases', () => {
  expect(names.length).toBeGreaterThan(50);
});

test.each(all<RunCase>(/^run-/))('$name: $about', async (it) => {
  const id = await startFlow(flows.api, it.definition, { ...it.context, __script: it.script });
  const row = await untilFlowOver(flows.api, id);
  expect({
    status: row.status, total: row.totalTasksExecuted, tasks: row.taskExecutions.nodes.map(({ taskName, status }) => [taskName, status]), error_task: row.errorTask,
  }).toEqual({ status: it.expect.status, total: it.expect.total, tasks: it.expect.tasks, error_task: it.expect.error_task });
  if (it.expect.error !== undefined) expect(row.errorMessage).toBe(it.expect.error);
  if (it.expect.error_contains !== undefined) expect(row.errorMessage).toContain(it.expect.error_contains);
  if (it.expect.output !== undefined) expect(row.outputData).toEqual(it.expect.output);
  expectConsistent(row, it);
});

/** What holds of every flow execution. */
function expectConsistent(row: FlowExecutionRow, { context, definition }: RunCase): void {
  const tasks = row.taskExecutions.nodes;
  expect(row.inputContext).toEqual(context);
  expect(row.definition).toEqual(definition);
  expect(JSON.stringify(row)).not.toContain('__script');
  expect(tasks.map(({ sequenceNumber }) => sequenceNumber)).toEqual(tasks.map((_, index) => index + 1));
  expect((row.status === 'FAILURE') === (row.errorMessage !== null)).toBe(true);
  const seen: Record<string, unknown> = { ...context };
  for (const task of tasks) {
    expect(task.inputData).toEqual(seen);
    expect((task.status === 'FAILURE') === (task.errorMessage !== null)).toBe(true);
    expect(task.errorTraceback).toBeNull();
    seen[task.taskName] = task.status === 'SUCCESS' ? { status: 'SUCCESS', data: task.outputData } : { status: 'FAILURE', error: task.errorMessage };
  }
  if (row.status === 'COMPLETED') expect(row.outputData).toEqual(seen);
}

const places = (problems: { code: string; field: string | null }[]): unknown[] => problems.map(({ code, field }) => [code, field]).sort();

test.each(all<CheckCase>(/^(?:refused|warned)-/))('$name: $about', async (it) => {
  const { id, name, start_task: startTask } = it.definition;
  const columns = it.columns ?? { id, name, startTask };
  const { validateFlow } = await flows.api.data('developer', `query ($definition: JSON!, $id: String, $name: String, $startTask: String) {
    validateFlow(definition: $definition, id: $id, name: $name, startTask: $startTask) { valid errors { code field message } warnings { code field } }
  }`, { ...columns, definition: it.definition });
  expect(places(validateFlow.errors)).toEqual([...it.problems].sort());
  expect(validateFlow.valid).toBe(it.problems.length === 0);
  if (it.warnings !== undefined) expect(places(validateFlow.warnings)).toEqual([...it.warnings].sort());

  const { data, errors } = it.columns === undefined ? await createFlow(flows.api, it.definition) : await createWith(columns, it.definition);
  if (it.problems.length === 0) {
    expect(data.createFlow.flow).toEqual({ id, isActive: 1, version: 1 });
    return;
  }
  expect(errors![0]!.extensions).toMatchObject({ code: 'INVALID_FLOW' });
  expect(places(errors![0]!.extensions['problems'] as { code: string; field: string | null }[])).toEqual([...it.problems].sort());
  expect(errors![0]!.message).toContain(validateFlow.errors[0].message);
});

/** The bounds that a file would only repeat. */
test.each<[string, object, string | null]>([
  ['33 levels', { config: Array.from({ length: 30 }).reduce<object>((inner) => ({ deeper: inner }), {}) }, null],
  ['more than 1 MiB', { config: { text: 'x'.repeat(1_048_576) } }, null],
])('refused: a definition of %s', async (_about, task, field) => {
  const { errors } = await createFlow(flows.api, { id: 'unbounded', name: 'unbounded', start_task: 'a', tasks: [{ name: 'a', ...task }] });
  expect(errors![0]!.extensions).toMatchObject({ code: 'INVALID_FLOW', problems: [{ code: 'E001', field }] });
});

test('as deep as allowed', async () => {
  const config = Array.from({ length: 28 }).reduce<object>((inner) => ({ deeper: inner }), {});
  expect((await createFlow(flows.api, { id: 'deep', name: 'deep', start_task: 'a', tasks: [{ name: 'a', config }] })).errors).toBeUndefined();
});

async function createWith(columns: object, definition: Definition): ReturnType<typeof createFlow> {
  return flows.api.query('architect', 'mutation ($flow: FlowInput!) { createFlow(input: { flow: $flow }) { flow { id isActive version } } }', { flow: { ...columns, definition } });
}
