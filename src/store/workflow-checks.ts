/** What the database says of workflow documents, asked as the caller, inside the caller's transaction. */

/** The part of a client that both node-postgres and PostGraphile have. */
export interface ReadingClient {
  query<Row>(options: { text: string; values?: unknown[] }): Promise<{ rows: readonly Row[] }>;
}

export interface ProblemRow {
  code: string;
  message: string;
  field: string | null;
  node_id: string | null;
}

export interface ProblemsRow {
  errors: ProblemRow[];
  warnings: ProblemRow[];
}

/** One result for each document, in order. */
export async function checkWorkflows(client: ReadingClient, specs: readonly unknown[]): Promise<ProblemsRow[]> {
  const { rows } = await client.query<{ problems: ProblemsRow }>({
    text: `select app_public.check_workflow(document.spec) as problems
             from jsonb_array_elements($1::jsonb) with ordinality as document (spec, place)
            order by document.place`,
    values: [JSON.stringify(specs)],
  });
  return rows.map(({ problems }) => problems);
}

export interface PublishableRow {
  spec: unknown;
  status: string;
  may_publish: boolean;
}

/** Null when the caller cannot see such a workflow. */
export async function readPublishable(client: ReadingClient, workflowId: string): Promise<PublishableRow | null> {
  const { rows } = await client.query<PublishableRow>({
    text: `select spec, status, app_private.may('workflows:publish') as may_publish from app_public.workflows where id = $1`,
    values: [workflowId],
  });
  return rows[0] ?? null;
}
