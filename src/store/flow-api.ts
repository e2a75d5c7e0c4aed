/** Flows as the API writes and reads them beside what is derived from the schema; asked as the caller. */
import type { ProblemsRow, ReadingClient } from './workflow-checks.ts';

/** What is given of a flow; `definition` is JSON as it came. */
export interface FlowInput {
  id: string;
  name: string;
  description?: string | null;
  startTask: string;
  definition: unknown;
}

export type FlowPatch = Partial<Omit<FlowInput, 'id'>>;

/** Throws INVALID_FLOW with every problem. */
export async function createFlow(client: ReadingClient, flow: FlowInput): Promise<void> {
  await client.query({
    text: 'select from app_public.create_flow($1, $2, $3, $4, $5)',
    values: [flow.id, flow.name, flow.description ?? null, flow.startTask, JSON.stringify(flow.definition)],
  });
}

/** Only what the patch holds is changed. */
export async function updateFlow(client: ReadingClient, id: string, patch: FlowPatch, expectedVersion: number | null): Promise<void> {
  const { startTask, ...rest } = patch;
  const values = { ...rest, ...(startTask === undefined ? {} : { start_task: startTask }) };
  await client.query({ text: 'select from app_public.update_flow($1, $2, $3)', values: [id, JSON.stringify(values), expectedVersion] });
}

/** What is not given is taken from the definition. */
export type FlowToCheck = Partial<Pick<FlowInput, 'id' | 'name' | 'startTask'>> & { definition: unknown };

/** One result for each flow, in order. */
export async function checkFlows(client: ReadingClient, flows: readonly FlowToCheck[]): Promise<ProblemsRow[]> {
  const { rows } = await client.query<{ problems: ProblemsRow }>({
    text: `select app_public.check_flow(coalesce(given.flow ->> 'id', given.flow #>> '{definition,id}'), coalesce(given.flow ->> 'name', given.flow #>> '{definition,name}'),
                  coalesce(given.flow ->> 'startTask', given.flow #>> '{definition,start_task}'), given.flow -> 'definition') as problems
             from jsonb_array_elements($1::jsonb) with ordinality as given (flow, place)
            order by given.place`,
    values: [JSON.stringify(flows)],
  });
  return rows.map(({ problems }) => problems);
}

export interface FlowPictureRow {
  id: string;
  definition: unknown;
  /** By name, of the tasks that have a row. */
  tasks: Record<string, { status: string; seconds: number | null; tokens: number }>;
}

/** Flow executions that the caller cannot see are left out. */
export async function readFlowPictures(client: ReadingClient, ids: readonly string[]): Promise<FlowPictureRow[]> {
  const { rows } = await client.query<FlowPictureRow>({
    text: `select execution.id::text as id, execution.definition,
                  coalesce((select jsonb_object_agg(task.task_name, jsonb_build_object('tokens', 0, 'seconds', extract(epoch from task.completed_at - task.started_at),
                                     'status', case task.status when 'SUCCESS' then 'completed' when 'FAILURE' then 'failed' else 'running' end))
                              from app_public.task_executions task
                             where task.tenant_id = execution.tenant_id and task.flow_execution_id = execution.id), '{}') as tasks
             from app_public.flow_executions execution
            where execution.id = any ($1::bigint[])`,
    values: [ids],
  });
  return [...rows];
}

/** Traces by id of the task execution; none for who is no admin. */
export async function readTracebacks(client: ReadingClient, ids: readonly string[]): Promise<Map<string, string | null>> {
  const { rows } = await client.query<{ id: string; traceback: string | null }>({
    text: 'select id::text as id, traceback from app_public.task_tracebacks($1)', values: [ids],
  });
  return new Map(rows.map(({ id, traceback }) => [id, traceback]));
}
