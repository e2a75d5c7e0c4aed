/** A node run by itself: its parameters, a state, and a source that only records what it is asked. */
import { planOf } from '../../src/engine/index.ts';
import { nodeTypes } from '../../src/nodes/index.ts';
import type { ApiAnswer, ApiRequest, DbRequest, ImageAnswer, ImageRequest, Json, JsonObject, LlmRequest, NodeContext, NodeResult } from '../../src/engine/types.ts';

export interface RunAlone {
  type: string;
  parameters?: JsonObject;
  state?: JsonObject;
  outputs?: JsonObject;
  resumedWith?: Json;
  answers?: string[];
  rows?: JsonObject[];
  truncated?: boolean;
  api?: ApiAnswer;
  image?: ImageAnswer;
  saveArtifact?: NodeContext['saveArtifact'];
}

export interface Ran {
  result: NodeResult;
  /** It answered without a promise. */
  atOnce: boolean;
  asked: { llm: LlmRequest[]; db: DbRequest[]; api: ApiRequest[]; image: ImageRequest[] };
  log: string[];
}

export async function runAlone(given: RunAlone): Promise<Ran> {
  const type = nodeTypes.find((candidate) => candidate.type === given.type);
  if (!type) throw new Error(`no node type ${given.type}`);
  const kind = type.sourceKind ?? 'llm';
  const source = type.sourceRequired || given.answers ? { source: 's' } : {};
  const spec = {
    nodes: [{ id: 'n', type: given.type, metadata: { ...source, ...given.parameters } }], edges: [], start_node: 'n',
    sources: [{ id: 's', kind, config: kind === 'db' ? { dsn_env: 'X' } : { model: 'any' } }],
  };
  const node = planOf(spec, { nodeTypes }).nodes.get('n');
  if (!node) throw new Error('the plan lost its node');
  const ran: Omit<Ran, 'result' | 'atOnce'> = { asked: { llm: [], db: [], api: [], image: [] }, log: [] };
  const context: NodeContext = {
    node, parameters: node.parameters, state: given.state ?? {}, outputs: given.outputs ?? {}, attempt: 1, idempotencyKey: 'key', signal: new AbortController().signal,
    log: (level, message) => void ran.log.push(`${level}: ${message}`), source: recording(given, ran.asked), resumedWith: given.resumedWith,
    ...(given.saveArtifact ? { saveArtifact: given.saveArtifact } : {}),
  };
  const answer = type.run(context);
  return { ...ran, result: await answer, atOnce: !(answer instanceof Promise) };
}

function recording(given: RunAlone, asked: Ran['asked']): NonNullable<NodeContext['source']> {
  return {
    llm: async (request) => {
      const text = given.answers?.[asked.llm.push(request) - 1] ?? '';
      return { text, model: 'm', inputTokens: 10, outputTokens: text.length, estimated: false, costUnits: 100, mock: true };
    },
    db: async (request) => {
      asked.db.push(request);
      return { rows: given.rows ?? [], truncated: given.truncated ?? false };
    },
    api: async (request) => {
      asked.api.push(request);
      return given.api ?? { status: 200, headers: {}, body: null };
    },
    image: async (request) => {
      asked.image.push(request);
      return given.image ?? { url: 'https://pictures.example/1', bytes: null, mediaType: null, model: 'm', costUnits: 7 };
    },
  };
}
