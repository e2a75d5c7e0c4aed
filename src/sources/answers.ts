/** Kept answers: a source that says `cache` is not asked the same twice within its time. The tenant, the source and all of the request are in the key. */
import { createHash } from 'node:crypto';
import type { ApiAnswer, ApiRequest, ImageAnswer, JsonObject, LlmAnswer } from '../engine/types.ts';
import { objectOf, type SourceBinding } from './binding.ts';
import type { DbAnswer } from './db/query.ts';
import type { KeptAnswer, SharedState } from './shared-state.ts';

const defaultSeconds = 3_600;
const mostSeconds = 30 * 86_400;
const maxAnswerBytes = 256 * 1024;
const maxPictureBytes = 4 * 1024 * 1024;

/** How an answer of one kind is kept, and given again. `keep` null: this one is not kept. */
interface Form<Answer> {
  keep(answer: Answer): KeptAnswer | null;
  give(kept: KeptAnswer): Answer;
}

interface Question {
  binding: SourceBinding;
  kind: string;
  request: object;
}

/** The kept answer, where the source keeps them, or what `ask` gets. */
export function answered<Answer extends object>(shared: SharedState | null, question: Question, form: Form<Answer>, ask: () => Promise<Answer>): Promise<Answer> {
  const seconds = secondsOf(question.binding);
  return shared === null || seconds === null || question.binding.tenantId === undefined ? ask() : keptOrAsked(shared, { ...question, seconds }, form, ask);
}

async function keptOrAsked<Answer extends object>(shared: SharedState, { binding, kind, request, seconds }: Question & { seconds: number }, form: Form<Answer>, ask: () => Promise<Answer>): Promise<Answer> {
  const tenantId = binding.tenantId!;
  const cacheKey = keyOf(binding, kind, request);
  const kept = await shared.findAnswer(tenantId, cacheKey);
  if (kept !== null) return form.give(kept);
  const answer = await ask();
  const worth = form.keep(answer);
  if (worth !== null) await shared.keepAnswer({ ...worth, tenantId, cacheKey, sourceName: binding.sourceName, seconds });
  return answer;
}

/** `cache: true`, seconds, or `{ttl_seconds}`; null: it wants none. */
function secondsOf({ config: { cache } }: SourceBinding): number | null {
  if (cache === true) return defaultSeconds;
  const seconds = typeof cache === 'number' ? cache : objectOf(cache)?.['ttl_seconds'] ?? (objectOf(cache) === null ? null : defaultSeconds);
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, mostSeconds) : null;
}

/** A source that a document brings itself never shares an answer with a saved one that looks alike: that one may use secrets which it may not. */
function keyOf({ tenantId, sourceName, isSaved, config }: SourceBinding, kind: string, request: object): string {
  return createHash('sha256').update(JSON.stringify([tenantId, kind, isSaved === true, sourceName, sorted(config), sorted(request)])).digest('hex');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => typeof entry !== 'function').sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, sorted(entry)]));
}

function small(answer: object): JsonObject | null {
  const json = JSON.stringify(answer);
  return Buffer.byteLength(json) <= maxAnswerBytes ? (answer as JsonObject) : null;
}

const plain = (answer: object): KeptAnswer | null => {
  const kept = small(answer);
  return kept === null ? null : { answer: kept, bytes: null };
};

export const llmForm: Form<LlmAnswer> = {
  keep: ({ mock, text, model, estimated }) => (mock ? null : plain({ text, model, estimated })),
  give: ({ answer }) => ({ ...(answer as unknown as LlmAnswer), inputTokens: 0, outputTokens: 0, costUnits: 0, mock: false, isCached: true }),
};

export const imageForm: Form<ImageAnswer> = {
  keep: ({ url, bytes, mediaType, model, size = null, mock }) => (mock === true || (bytes?.length ?? 0) > maxPictureBytes ? null : { answer: { url, mediaType, model, size }, bytes }),
  give: ({ answer, bytes }) => ({ ...(answer as unknown as ImageAnswer), bytes, costUnits: 0, isCached: true }),
};

export const dbForm: Form<DbAnswer> = {
  keep: plain,
  give: ({ answer }) => ({ ...(answer as unknown as DbAnswer), isCached: true }),
};

/** Only what asks and changes nothing, and only when it went well. */
export const apiForm = ({ method }: ApiRequest): Form<ApiAnswer> => ({
  keep: (answer) => ((method === 'GET' || method === 'HEAD') && answer.status >= 200 && answer.status < 300 ? plain(answer) : null),
  give: ({ answer }) => ({ ...(answer as unknown as ApiAnswer), isCached: true }),
});
