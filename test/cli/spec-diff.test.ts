import { differenceLine, specDifferences } from '../../src/cli/workflow/spec-diff.ts';
import type { JsonObject } from '../../src/engine/types.ts';

const before: JsonObject = {
  start_node: 'a', name: 'x',
  nodes: [{ id: 'a', type: 'input' }, { id: 'b', type: 'llm', metadata: { source: 'm', temperature: 0.2 } }],
  edges: [{ from: 'a', to: 'b' }],
  sources: [{ id: 'm', kind: 'llm', config: { model: 'one' } }],
};

const lines = (after: JsonObject): string[] => specDifferences(before, after).map(differenceLine);

describe('the difference of two documents', () => {
  test('is none when only the order of keys, nodes or edges differs', () => {
    expect(lines({ ...before, nodes: [{ metadata: { temperature: 0.2, source: 'm' }, type: 'llm', id: 'b' }, { type: 'input', id: 'a' }] })).toEqual([]);
  });

  test('names what was added, removed and changed, and where', () => {
    expect(lines({
      start_node: 'b', limits: { max_nodes: 5 },
      nodes: [{ id: 'b', type: 'llm', metadata: { source: 'm', temperature: 0.7, prompt: 'hi' } }, { id: 'c', type: 'delay' }],
      edges: [{ from: 'a', to: 'b', condition: 'x' }, { from: 'b', to: ['c', 'end'] }],
      sources: [],
    })).toEqual([
      '- node a', '~ node b: metadata.temperature: 0.2 -> 0.7', '+ node b: metadata.prompt = "hi"', '+ node c',
      '+ edge a -> b: condition = "x"', '+ edge b -> c, end',
      '- source m', '~ start_node: "a" -> "b"', '- name', '+ limits',
    ]);
  });

  test('tells entries of one name apart', () => {
    expect(lines({ ...before, edges: [{ from: 'a', to: 'b' }, { from: 'a', to: 'b', condition: 'x' }] })).toEqual(['+ edge a -> b (2)']);
  });
});
