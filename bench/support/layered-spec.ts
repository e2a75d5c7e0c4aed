/** A workflow of a given size as people write them: an input, layers of five calls beside each other, a join after each layer. */
import type { JsonObject } from '../../src/engine/types.ts';

const width = 5;

export function layeredSpec(count: number): JsonObject {
  const nodes: JsonObject[] = [{ id: 'start', type: 'input', metadata: { validation: { required: true, max_length: 2_000 } } }];
  const edges: JsonObject[] = [];
  let last = 'start';
  for (let layer = 0; nodes.length < count; layer += 1) {
    const asks = Array.from({ length: Math.min(width, count - nodes.length) }, (_, index) => `ask_${layer}_${index}`);
    nodes.push(...asks.map((id): JsonObject => ({
      id, type: 'llm', description: 'One call', metadata: { source: 'model', prompt: `About {user_input}: ${id}`, output_key: id, temperature: 0.2, max_tokens: 500, retry: { max_attempts: 3 } },
    })));
    edges.push(...asks.map((to, index): JsonObject => ({ from: last, to, ...(index % 2 === 0 ? {} : { condition: `size(user_input) > ${index}` }) })));
    if (nodes.length >= count) break;
    last = `join_${layer}`;
    nodes.push({ id: last, type: 'aggregator', metadata: { strategy: 'merge', source_keys: asks, output_key: last, include_metadata: false } });
    edges.push(...asks.map((from): JsonObject => ({ from, to: last })));
  }
  return {
    name: `${count} nodes`, start_node: 'start', nodes, edges, queues: [{ id: 'slow', from: 'start', to: 'ask_0_0', bandwidth: { max_messages_per_second: 5 } }],
    sources: [{ id: 'model', kind: 'llm', config: { provider: 'openai', model: 'gpt-4o-mini' } }],
  };
}
