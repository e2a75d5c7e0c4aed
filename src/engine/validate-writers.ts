/** W005: nodes that can run at the same time and write the same key. */
import { graphOf } from './graph.ts';
import { documentOf } from './parse.ts';
import { parallelWriters } from './writers.ts';
import { metadataField } from './draft.ts';
import type { Checking } from './validate.ts';

/** One warning for each key of the later writer. The document is known to be free of errors. */
export function checkParallelWriters({ draft, report, typeOf }: Checking): void {
  const { nodes, edges, startNode } = documentOf(draft);
  const graph = graphOf(nodes.map(({ id }) => id), edges);
  const told = new Set<string>();
  for (const { key, earlier, later } of parallelWriters({ nodes, edges, graph, startNode, typeOf })) {
    const node = draft.nodes.find(({ id }) => id === later);
    if (!node || told.has(`${later} ${key}`)) continue;
    told.add(`${later} ${key}`);
    report.add('W005', metadataField(node, 'output_key'),
      `Nodes '${earlier}' and '${later}' can run at the same time and both write '${key}': what '${later}' writes stays, because it comes later in the document`, later);
  }
}
