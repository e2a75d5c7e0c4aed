/**
 * One HTTP call, as a node of type `api` makes it. Config: `source` (a saved source of kind api) or `url`; `method`, `path`, `query`, `headers`, `body`,
 * whose texts are templates over the flow's context. Gives `{status, headers, body}`; an answer of 400 or more fails the task.
 */
import type { FlowTask, JsonObject } from '../../src/runtime/flow-task.ts';

const httpRequest: FlowTask = async (_context, { config, runNode, fill }) => {
  const { url, ...parameters } = config;
  const answer = await runNode('api', typeof url === 'string' ? { ...partsOf(String(fill(url)), parameters), ...parameters } : parameters) as JsonObject;
  if (typeof answer.status === 'number' && answer.status >= 400) throw new Error(`The service answered ${answer.status}.`);
  return answer;
};

/** A URL as the parameters of a call without a saved source. */
function partsOf(text: string, { query }: JsonObject): JsonObject {
  const url = URL.parse(text);
  if (url === null) throw new Error(`url is no URL: ${text.slice(0, 200)}`);
  const own = Object.fromEntries(url.searchParams);
  return { base_url: url.origin, path: url.pathname.replace(/^\//, ''), ...(query === undefined && Object.keys(own).length > 0 ? { query: own } : {}) };
}

export default httpRequest;
