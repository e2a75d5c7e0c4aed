import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cappedLimits, defaultLimits, diagramOf, dotOf, metricsOf, parseDocument, planOf, roundedDollars, tokenCostUnits, validateSpec } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';

const specOf = (name: string): unknown => (JSON.parse(readFileSync(new URL(`../cases/validation/${name}.json`, import.meta.url), 'utf8')) as { spec: unknown }).spec;

describe('parsing', () => {
  test('both dialects give the same document', () => {
    const one = { nodes: [{ id: 'a', type: 'llm', metadata: { source: 's', prompt: 'p', model: 'm' } }, { id: 'i', type: 'input', metadata: { validation: { required: true } } }, { id: 'd', type: 'db', metadata: { source: 'p', query: 'select 1' } }],
      edges: [{ from: 'a', to: ['i'] }], sources: [{ id: 's', kind: 'llm', config: { model: 'm' } }, { id: 'p', kind: 'db', config: { connection_string_env: 'X' } }, { id: 'w', kind: 'api', config: { token_env: 'T' } }], start_node: 'a' };
    const other = { nodes: [{ id: 'a', type: 'llm', metadata: { source_id: 's', prompt_template: 'p', model_name: 'm' } }, { id: 'i', type: 'input', metadata: { validate: { required: true } } }, { id: 'd', type: 'db', metadata: { source_id: 'p', query_template: 'select 1' } }],
      edges: [{ from: 'a', to: 'i' }], sources: [{ id: 's', kind: 'llm', config: { model_name: 'm' } }, { id: 'p', kind: 'db', config: { dsn_env: 'X' } }, { id: 'w', kind: 'api', config: { auth_env: 'T' } }], start_node: 'a' };
    expect(parseDocument(other)).toEqual(parseDocument(one));
  });

  test('the canonical name wins over its alias', () => {
    const { nodes } = parseDocument({ nodes: [{ id: 'a', type: 'llm', metadata: { prompt_template: 'old', prompt: 'new', source: null, source_id: 's' } }] });
    expect(nodes[0]?.parameters).toEqual({ prompt: 'new', source: 's' });
  });

  test('defaults are filled in', () => {
    const { nodes, limits } = parseDocument({ nodes: [{ id: 'a', type: 'llm', metadata: null }] });
    expect(nodes[0]).toEqual({ id: 'a', type: 'llm', description: null, outputKey: null, timeoutSeconds: null, retry: { maxAttempts: 3, initialSeconds: 1, maxSeconds: 30 }, onError: 'fail', parameters: {} });
    expect(limits).toEqual({ maxParallelNodes: 5, maxNodes: 200, maxTokens: null, maxCost: null, maxSeconds: 3600, maxStateBytes: 1_048_576, maxOutputBytes: 1_048_576 });
  });

  test('whatever comes, neither parsing nor validation throws, and every error has a place', () => {
    const ids = fc.constantFrom('a', 'b', 'end', '__proto__', 'x y', '', 5, null);
    const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), ids);
    const part = (keys: string[]): fc.Arbitrary<unknown> => fc.oneof({ weight: 8, arbitrary: fc.record(Object.fromEntries(keys.map((key) => [key, odd])), { requiredKeys: [] }) }, { weight: 1, arbitrary: odd });
    const type = fc.constantFrom(...nodeTypes.map(({ type: name }) => name), 'nope', 3);
    const metadata = fc.dictionary(fc.constantFrom('source', 'source_id', 'prompt', 'query', 'routes', 'strategy', 'schema', 'response_format', 'validation', 'retry', 'headers', 'expression', 'values', 'temperature', 'api_key', '__proto__'), odd);
    const node = fc.record({ id: ids, type, metadata }, { requiredKeys: [] });
    const spec = fc.record({ nodes: fc.oneof(fc.array(node, { maxLength: 5 }), odd), edges: fc.oneof(fc.array(part(['from', 'to', 'condition', 'default', 'queue']), { maxLength: 5 }), odd), queues: fc.oneof(fc.array(part(['id', 'from', 'to', 'bandwidth']), { maxLength: 3 }), odd),
      sources: fc.oneof(fc.array(part(['id', 'kind', 'config', 'ref']), { maxLength: 3 }), odd), start_node: ids, limits: odd, initial_state: odd }, { requiredKeys: [] });
    fc.assert(fc.property(fc.oneof(spec, odd), (value) => {
      parseDocument(value);
      const { valid, errors } = validateSpec(value, { nodeTypes });
      expect(valid).toBe(errors.length === 0);
      for (const { code, message } of errors) expect(`${code} ${message}`).toMatch(/^E0(0[1-9]|1[0-4]) .+/);
      expect(Object.keys(Object.prototype)).toEqual([]);
    }), { numRuns: 2_000 });
  });
});

describe('validation', () => {
  test('tells no more than a thousand problems of a kind', () => {
    const { errors } = validateSpec({ nodes: [{ id: 'a', type: 'input' }], edges: [{ from: 'a', to: Array(5_000).fill('z') }], start_node: 'a' }, { nodeTypes });
    expect(errors).toHaveLength(1_000);
  });

  test('a document of 1 MiB is looked at, a larger one is not', () => {
    const withText = (bytes: number): unknown => ({ nodes: [{ id: 'a', type: 'input' }], start_node: 'a', initial_state: { t: 'x'.repeat(bytes) } });
    const stored = '{"nodes": [{"id": "a", "type": "input"}], "start_node": "a", "initial_state": {"t": ""}}'.length;
    expect(validateSpec(withText(1_048_576 - stored), { nodeTypes }).errors).toEqual([]);
    expect(validateSpec(withText(1_048_577 - stored), { nodeTypes }).errors).toMatchObject([{ code: 'E001' }]);
  });

  test('a secret in the name that lost against its alias is found', () => {
    const spec = { nodes: [{ id: 'a', type: 'input' }], start_node: 'a', sources: [{ id: 's', kind: 'llm', config: { model: 'x', model_name: { password: 'p' } } }] };
    expect(validateSpec(spec, { nodeTypes }).errors).toMatchObject([{ code: 'E003', field: 'sources.0.config.model_name.password' }]);
  });
});

describe('diagrams', () => {
  test('a plan as mermaid, with colours', () => {
    const plan = planOf(specOf('valid-every-part'), { nodeTypes });
    expect(diagramOf(plan, { input: { status: 'completed', seconds: 0.0123, tokens: 0 }, a: { status: 'failed', seconds: 2.34, tokens: 35 } })).toBe([
      'flowchart TD',
      '  n0["input<br/><small>input</small><br/><small>12 ms</small>"]',
      '  n1("a<br/><small>llm</small><br/><small>2.3 s, 35 tokens</small>")',
      '  n2["b<br/><small>aggregator</small>"]',
      '  done(("end"))',
      '  n0 --> n1',
      '  n0 --> done',
      '  n1 -->|"error == null"| n2',
      '  n1 -->|"default"| done',
      '  classDef completed fill:#c8e6c9,stroke:#2e7d32,color:#10330f',
      '  classDef failed fill:#ffcdd2,stroke:#c62828,color:#4a0d0d',
      '  class n0 completed',
      '  class n1 failed',
    ].join('\n'));
  });

  test('a plan for Graphviz, with shapes and colours', () => {
    const dot = dotOf(planOf(specOf('valid-every-part'), { nodeTypes }), { a: { status: 'skipped', seconds: null, tokens: 0 } });
    expect(dot).toContain('  n0 [label="input\\ninput", shape=box, style="filled", fillcolor="#ffffff", color="#9e9e9e", fontcolor="#424242"]');
    expect(dot).toContain('  n1 [label="a\\nllm", shape=box, style="filled,rounded,dashed", fillcolor="#f5f5f5", color="#bdbdbd", fontcolor="#9e9e9e"]');
    expect(dot).toContain('  n1 -> done [label="default"]');
  });

  test('a condition cannot leave its label', () => {
    const plan = planOf({ nodes: [{ id: 'a', type: 'input' }, { id: 'b', type: 'input' }], edges: [{ from: 'a', to: 'b', condition: "x == '\"]; click n0 <script>|'" }], start_node: 'a' }, { nodeTypes });
    expect(dotOf(plan)).toContain(String.raw`n0 -> n1 [label="x == '\"]; click n0 <script>|'"]`);
    expect(diagramOf(plan)).toContain("n0 -->|\"x == '#34;#93;#59; click n0 #60;script#62;#124;'\"| n1");
  });
});

describe('money and time', () => {
  test('tokens cost whole units, sums are exact, and only the end is rounded, half up', () => {
    const price = { inputPerMillion: 2.5, outputPerMillion: 10 };
    expect(tokenCostUnits(price, 3, 1)).toBe(175_000);
    const thousand = Array.from({ length: 1_000 }, () => tokenCostUnits(price, 1, 0)).reduce((sum, units) => sum + units, 0);
    expect(thousand).toBe(tokenCostUnits(price, 1_000, 0));
    expect([0, 499_999, 500_000, 1_500_000, 75_000_000, 10_000_000_000].map(roundedDollars)).toEqual([0, 0, 0.0001, 0.0002, 0.0075, 1]);
  });

  test('metrics have the places of their columns', () => {
    expect(metricsOf({ tokens: 150, costUnits: 75_004_999 }, { executionSeconds: 2.49951, nodeSeconds: { a: 0.0004, b: 1.2345 } })).toEqual({
      execution_time: 2.5, tokens_used: 150, cost: 0.0075, node_execution_times: { a: 0, b: 1.235 },
    });
  });

  test("a tenant's caps are over a document's wishes", () => {
    expect(cappedLimits({ ...defaultLimits, maxNodes: 10, maxTokens: null }, { maxNodes: 50, maxTokens: 7, maxSeconds: 60 })).toEqual({ ...defaultLimits, maxNodes: 10, maxTokens: 7, maxSeconds: 60 });
  });
});
