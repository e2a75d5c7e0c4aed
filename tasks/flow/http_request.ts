/**
 * One HTTP call, as a node of type `api` makes it. Config: `source` (a saved source of kind api) or `url`; `method`, `path`, `query`, `headers`, `body`,
 * whose texts are templates over the flow's context. What the context gives fills places of the path; it never names the host.
 * Gives `{status, headers, body}`; an answer of 400 or more fails the task.
 */
import type { FlowTask, JsonObject } from '../../src/runtime/flow-task.ts';

const httpRequest: FlowTask = async (_context, { config, runNode }) => {
  const { url, ...parameters } = config;
  const answer = await runNode('api', url === undefined ? parameters : { ...partsOf(url), ...parameters }) as JsonObject;
  if (typeof answer.status === 'number' && answer.status >= 400) throw new Error(`The service answered ${answer.status}.`);
  return answer;
};

/** A URL as the parameters of a call without a saved source. */
function partsOf(url: unknown): JsonObject {
  const [, base, path = ''] = /^(https?:\/\/[^/?#{}]+)\/?([^#]*)$/i.exec(String(url)) ?? [];
  if (base === undefined) throw new Error('url must be http://host/path or https://host/path; placeholders may stand in the path only.');
  return { base_url: base, path };
}

export default httpRequest;
