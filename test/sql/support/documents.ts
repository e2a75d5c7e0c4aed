/** Workflow documents for properties: mostly right, and then broken at some places in every way that JSON allows. */
import fc from 'fast-check';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const ids = ['a', 'b', 'c', 'd', 'e', 'end', '__end__', 'a b', '', '__proto__', 'constructor', 'ünï', 'x'.repeat(101)];
const goodIds = ids.slice(0, 5);
const sourceIds = ['m', 'p', 'row', 'other', '', 'y'.repeat(256)];
const types = ['input', 'router', 'llm', 'image', 'db', 'api', 'aggregator', 'transform', 'delay', 'approval', 'workflow', 'warp', 'probe'];
const keys = [
  'id', 'type', 'metadata', 'from', 'to', 'condition', 'default', 'queue', 'bandwidth', 'burst_size', 'config', 'ref', 'kind', 'source', 'source_id', 'query',
  'query_template', 'model', 'model_name', 'temperature', 'top_p', 'max_tokens', 'timeout', 'retry', 'max_attempts', 'initial_seconds', 'max_seconds', 'on_error',
  'output_key', 'headers', 'api_key', 'Authorization', 'X-Api-Key', 'token', 'dsn', 'dsn_env', 'connection_string_env', 'limits', 'max_nodes', 'max_cost',
  'start_node', 'nodes', 'edges', 'queues', 'sources', 'name', 'description', 'version', 'initial_state', 'strategy', 'retry.max_attempts', 'colour', '__proto__',
];

const mostly = <T extends Json>(usual: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<Json> =>
  fc.oneof({ arbitrary: usual, weight }, { arbitrary: anything, weight: 1 });

const text: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...ids, ...sourceIds, ' ', '\u00a0\u2003', '\ufeff', 'llm', 'true', '{x}', 'fail', 'errors', 'cost', '\u{1F600}'.repeat(128), 'z'.repeat(255)),
  fc.string({ maxLength: 5 }).filter((value) => !value.includes('\0')),
);
const number = fc.oneof(
  fc.constantFrom(-1, 0, 0.5, 1, 1.5, 2, 2.0000000000000004, 20, 21, 1e21, 5e-324, 1e308),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const anything: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null), fc.boolean(), number, text, fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...keys), tie('value')), { maxLength: 4 }).map((entries) => objectOf(entries)),
  ),
})).value;

/** Own keys, `__proto__` among them. */
function objectOf(entries: [string, Json][]): Json {
  return JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`) as Json;
}

/** Some of these keys, each mostly of the usual kind. */
function part(usual: Record<string, fc.Arbitrary<Json>>, required: string[], weight?: number): fc.Arbitrary<Json> {
  const model = Object.fromEntries(Object.entries(usual).map(([key, value]) => [key, mostly(value, weight)]));
  const record = fc.record(model, { requiredKeys: required });
  const extra = fc.oneof({ arbitrary: fc.constant([]), weight: 15 }, { arbitrary: fc.tuple(fc.constantFrom(...keys), anything).map((entry) => [entry]), weight: 1 });
  return fc.tuple(record, extra).map(([own, more]) => objectOf([...Object.entries(own), ...more]));
}

const nodeId = fc.oneof({ arbitrary: fc.constantFrom(...goodIds), weight: 10 }, { arbitrary: fc.constantFrom(...ids), weight: 1 });
const sourceId = fc.constantFrom(...sourceIds.slice(0, 4));
const condition = fc.constantFrom<Json>('true', "intent == 'x'", ' ', '', '\u2003');

const metadata = part({
  source: sourceId, source_id: sourceId, temperature: number, top_p: number, max_tokens: number, timeout: number, on_error: fc.constantFrom('fail', 'continue'),
  output_key: text, retry: part({ max_attempts: number, initial_seconds: number, max_seconds: number }, []), query: fc.constant('select 1'),
  query_template: fc.constant('select 1'), model: fc.constant('m'), model_name: fc.constant('m'), provider: fc.constant('openai'),
  headers: part({ Authorization: text, 'x-api-key': text, accept: text }, []), api_key: text, strategy: fc.constantFrom('keyword', 'llm', 'default'),
}, [], 30);
const config = part({
  model: fc.constant('m'), model_name: fc.constant('m'), temperature: number, top_p: number, max_tokens: number, dsn_env: fc.constant('DSN'),
  connection_string_env: fc.constant('DSN'), dsn: text, connection_string: text, password: text, nested: part({ token: text, list: fc.array(anything, { maxLength: 2 }) }, []),
}, []);

const document = part({
  nodes: fc.array(part({ id: nodeId, type: fc.constantFrom(...types), description: text, metadata }, ['id', 'type'], 40), { maxLength: 7 }),
  edges: fc.array(part({
    from: nodeId, to: fc.oneof(nodeId, fc.array(nodeId, { maxLength: 3 })), condition, default: fc.boolean(), queue: fc.constantFrom('q', 'r', ''),
  }, ['from', 'to'], 40), { maxLength: 10 }),
  queues: fc.array(part({
    id: fc.constantFrom('q', 'r', '', 'x'.repeat(256)), from: nodeId, to: nodeId, bandwidth: part({ burst_size: number, max_requests_per_minute: number }, []),
  }, ['id', 'from', 'to']), { maxLength: 3 }),
  sources: fc.array(part({
    id: fc.constantFrom(...sourceIds), kind: fc.constantFrom('llm', 'image', 'db', 'api', 'ftp'), config, ref: fc.constantFrom('row', 'other'),
  }, ['id', 'kind']), { maxLength: 4 }),
  start_node: nodeId, name: text, description: text, version: anything, metadata: part({}, []), initial_state: part({}, []),
  limits: part({ max_nodes: number, max_cost: number, max_parallel_nodes: number }, []),
}, ['nodes', 'start_node'], 25);

/** A document, or now and then any JSON at all; as it looks after a round through JSON. */
export const documents: fc.Arbitrary<Json> = fc.oneof({ arbitrary: document, weight: 30 }, { arbitrary: anything, weight: 1 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Json);

export interface Breakage {
  /** Which of the places of the document, counted from its top. */
  place: number;
  how: 'replace' | 'remove' | 'double';
  by: Json;
}

export const breakages: fc.Arbitrary<Breakage[]> = fc.array(
  fc.record({ place: fc.nat(500), how: fc.constantFrom('replace' as const, 'remove' as const, 'double' as const), by: anything }), { minLength: 1, maxLength: 3 });

/** A copy, broken at one place: a value replaced, removed, or doubled in its list. */
export function broken(value: Json, { place, how, by }: Breakage): Json {
  const copy = structuredClone(value);
  const places: { owner: Json[] | { [key: string]: Json }; key: string }[] = [];
  const walk = (owner: Json): void => {
    if (typeof owner !== 'object' || owner === null) return;
    for (const [key, entry] of Object.entries(owner)) {
      places.push({ owner, key });
      walk(entry);
    }
  };
  walk(copy);
  const chosen = places[place % Math.max(1, places.length)];
  if (!chosen) return by;
  const { owner, key } = chosen;
  if (how === 'replace') Object.defineProperty(owner, key, { value: by, enumerable: true, writable: true, configurable: true });
  else if (!Array.isArray(owner)) delete owner[key];
  else if (how === 'remove') owner.splice(Number(key), 1);
  else owner.push(structuredClone(owner[Number(key)]!));
  return copy;
}

/** What the tenant's sources offer, by name. */
export const sourceRows: fc.Arbitrary<{ name: string; kind: string }[]> = fc.array(
  fc.record({ name: fc.constantFrom('row', 'other', 'm'), kind: fc.constantFrom('llm', 'db', 'image', 'api') }), { maxLength: 3 });
