/** GET /schemas/workflow.json and /schemas/flow.json: what editors complete and check documents by. Public; with the node types of this installation. */
import type { RequestHandler } from 'express';
import type { LoadWorkflowTools, WorkflowTools } from './workflow-tools.ts';

const secondsKept = 300;

/** Of `/schemas/:name`; names that there are not are left to whoever comes next. Any page may read them: an editor in a browser does. */
export function schemaHandler(workflowTools: LoadWorkflowTools): RequestHandler<{ name: string }> {
  let texts: Map<string, string> | null = null;
  return async (request, response, next) => {
    texts ??= textsOf((await workflowTools()).schemas);
    const text = texts.get(request.params.name);
    if (text === undefined) return next();
    response.set({ 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin', 'cache-control': `public, max-age=${secondsKept}` });
    response.type('application/schema+json').send(text);
  };
}

/** By file name. */
function textsOf(schemas: WorkflowTools['schemas']): Map<string, string> {
  return new Map(Object.entries(schemas).map(([name, schema]) => [`${name}.json`, `${JSON.stringify(schema, null, 2)}\n`]));
}
