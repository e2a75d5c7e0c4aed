/** Documents that would take long to answer, twenty a second, while other people work: each is refused, and nobody else notices. */
import { sampleWorkflow } from '../../support/api.ts';
import { type Attack, Counter, faultsOf } from './target.ts';

const times = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');
const nested = (levels: number, size: number): string =>
  `{ workflows(first: ${size}) { nodes ${`{ executions(first: ${size}) { nodes { workflow `.repeat(levels)}{ id }${' } } }'.repeat(levels)} } }`;

/** Another text each time, so that nothing is known from the last one. */
const kinds: ((index: number) => { query: string; variables?: object })[] = [
  (index) => ({ query: `# ${index}\n${nested(20, 10)}` }),
  (index) => ({ query: `# ${index}\n${nested(3, 100)}` }),
  (index) => ({ query: `{ ${times(1_000, (n) => `a${index}_${n}: workflows { totalCount }`)} }` }),
  (index) => ({ query: `{ a${index}: workflows(first: 2147483647) { nodes { id spec } } }` }),
  (index) => ({ query: `query ($n: Int = 2147483647) { b${index}: workflows(first: $n) { nodes { executions(first: $n) { nodes { nodeExecutions(first: $n) { nodes { nodeId } } } } } } }` }),
  (index) => ({ query: `{ c${index}: __typename ${'@skip(if: false) '.repeat(2_000)} }` }),
  (index) => ({ query: `{ ...F0 } ${times(60, (n) => `fragment F${n} on Query { ${n === 59 ? `d${index}: __typename` : `...F${n + 1} `.repeat(8)} }`)}` }),
  (index) => ({ query: `{ e${index}: ${'x '.repeat(40_000)} }` }),
  (index) => ({ query: `{ f${index}: workflow(id: "${sampleWorkflow}") { ${times(3_000, (n) => `g${n}: id`)} } }` }),
  (index) => ({ query: `query ($s: JSON!) { h${index}: validateWorkflow(spec: $s) { valid } ${times(40, (n) => `i${n}: validateWorkflow(spec: $s) { valid }`)} }`, variables: { s: { nodes: Array.from({ length: 2_000 }, (_, id) => ({ id: `n${id}` })) } } }),
  (index) => ({ query: `{ ...L${index} } fragment L${index} on Query { ...L${index} }` }),
  (index) => ({ query: `{ j${index}: workflows(filter: ${'{ and: ['.repeat(500)}${']}'.repeat(500)}) { totalCount } }` }),
  (index) => ({ query: `query ($f: WorkflowFilter) { k${index}: workflows(filter: $f) { totalCount } }`, variables: { f: { or: Array.from({ length: 10_000 }, () => ({ name: { equalTo: 'x' } })) } } }),
  (index) => ({ query: `query ($o: [WorkflowOrderBy!]) { l${index}: workflows(orderBy: $o) { totalCount } }`, variables: { o: Array.from({ length: 20_000 }, () => 'NAME_ASC') } }),
  (index) => ({ query: `# ${index}\n${'{ ... '.repeat(6_000)}${'}'.repeat(6_000)}` }),
  (index) => ({ query: `{ n${index}: workflows(first: ${'['.repeat(15_000)}1${']'.repeat(4_000)}) { totalCount } }` }),
  (index) => ({ query: `{ o${index}: __typename ...F0 } ${times(2_000, (n) => `fragment F${n} on Query { ...F${n + 1} }`)} fragment F2000 on Query { __typename }` }),
  (index) => ({ query: `mutation ($f: ExecutionFilter!) { m${index}: cancelExecutions(input: { filter: $f }) { count } }`, variables: { f: { and: Array.from({ length: 10_000 }, () => ({ not: {} })) } } }),
];

const median = '{ workflows(first: 20) { nodes { id name status } } }';

/** Times of other people's requests, in ms, for as long as `going` says. */
async function work(ask: () => Promise<unknown>, going: () => boolean): Promise<number[]> {
  const taken: number[] = [];
  while (going()) {
    const started = performance.now();
    await ask();
    taken.push(performance.now() - started);
  }
  return taken;
}

const percentile = (values: number[], share: number): number => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

export const bombs: Attack = {
  name: 'bombs',
  async run({ api, send }, scale) {
    const count = scale === 'long' ? 200 : 24;
    const counter = new Counter('answered', '5xx');
    // Made beforehand: who attacks shares this process with the server.
    const bodies = Array.from({ length: count }, (_, index) => JSON.stringify(kinds[index % kinds.length]!(index)));
    const ask = (): Promise<unknown> => send('admin@globex.example', median);
    const people = async (going: () => boolean): Promise<number[]> => (await Promise.all([1, 2, 3, 4].map(() => work(ask, going)))).flat();
    let isQuiet = true;
    setTimeout(() => { isQuiet = false; }, scale === 'long' ? 10_000 : 500);
    const before = await people(() => isQuiet);
    let left = count;
    const during = people(() => left > 0);
    const headers = await api.headersOf('john');
    const answers: Promise<void>[] = [];
    for (const body of bodies) {
      answers.push(api.post(body, headers).then((answer) => {
        left -= 1;
        if (answer.errors === undefined) counter.add('answered', body);
        for (const fault of faultsOf(answer)) counter.add(fault, body);
      }));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await Promise.all(answers);
    const after = await during;
    const [p95Before, p95During] = [percentile(before, 0.95), percentile(after, 0.95)];
    const figures = `other clients' p95 ${p95Before.toFixed(1)} ms before, ${p95During.toFixed(1)} ms during: ${(p95During / p95Before).toFixed(2)} x`;
    return { attack: 'bombs at 20/s', tried: count, bad: counter.counts, note: [figures, ...Object.values(counter.examples)].join(' | ') };
  },
};
