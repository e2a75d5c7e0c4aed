/** One small call of a source, to see whether it works: what it answers is thrown away. */
import { AgentFlowError, NodeError } from '../errors.ts';
import type { JsonObject, SourceKind, SourcePort } from '../engine/types.ts';
import type { OpenedSecret } from './binding.ts';
import type { Sources } from './index.ts';

export interface TriedSource {
  name: string;
  kind: SourceKind;
  config: JsonObject;
  tenantSlug: string;
  openSecret(name: string): Promise<OpenedSecret | null>;
}

export interface Trial {
  ok: boolean;
  latencyMs: number;
  error: { code: string; message: string; remedy: string } | null;
}

const trialSeconds = 20;

/** Never rejects. */
export async function trySource(sources: Sources, source: TriedSource): Promise<Trial> {
  const started = performance.now();
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new NodeError('SOURCE_UNAVAILABLE', `source '${source.name}' did not answer within ${trialSeconds} s.`)), trialSeconds * 1_000);
  const port = sources.port({
    ...source, nodeId: 'test', sourceName: source.name, isSaved: true, signal: abort.signal, idempotencyKey: `trial-${crypto.randomUUID()}`,
    costUnits: () => 0, imageCostUnits: () => 0,
  });
  const latency = (): number => Math.round(performance.now() - started);
  try {
    await call(port, source.kind);
    return { ok: true, latencyMs: latency(), error: null };
  } catch (error) {
    return { ok: false, latencyMs: latency(), error: shown(error) };
  } finally {
    clearTimeout(timer);
  }
}

async function call(port: SourcePort, kind: SourceKind): Promise<void> {
  if (kind === 'llm') await port.llm({ prompt: 'Answer with the word OK.', system: null, temperature: null, maxTokens: 16, topP: null, json: null });
  if (kind === 'image') await port.image({ prompt: 'A black dot on white.', size: null, quality: null, style: null });
  if (kind === 'db') await port.db({ text: 'select 1 as ok', values: [], limit: 1, timeoutSeconds: 10 });
  if (kind !== 'api') return;
  const { status } = await port.api({ method: 'GET', path: '', query: {}, headers: {}, body: undefined });
  if (status === 401 || status === 403) throw new NodeError('SOURCE_UNAUTHORIZED', `the service answered ${status}.`);
  // Anything else is an answer: the base address alone need not be a resource.
}

function shown(error: unknown): Trial['error'] {
  if (!(error instanceof AgentFlowError)) return { code: 'INTERNAL', message: 'Something went wrong inside AgentFlow.', remedy: 'Quote the request id to the operator.' };
  return { code: error.code, message: error.message.replace(/^Node 'test': s/, 'S'), remedy: error.remedy };
}
