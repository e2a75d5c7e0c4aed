/** One picture of an image model, as bytes of a known kind, or as the provider's URL where it gives only that. */
import { NodeError } from '../../errors.ts';
import type { ImageAnswer, ImageRequest } from '../../engine/types.ts';
import { textOf } from '../binding.ts';
import type { SourceCall } from '../call.ts';
import type { Fetch } from '../guard/fetch.ts';
import { modelFailure } from '../llm/failures.ts';
import { routeOf, type Ways } from '../llm/route.ts';
import { mockPicture } from './mock.ts';
import { imageTypeOf } from './sniff.ts';

export const maxPictureBytes = 16 * 1024 * 1024;

export async function makePicture(request: ImageRequest, call: SourceCall, ways: Ways): Promise<ImageAnswer> {
  const { binding, settings } = call;
  const model = textOf(binding.config, 'model', 'model_name');
  const size = request.size ?? textOf(binding.config, 'size');
  const what = model === null ? '' : `(model ${model}) `;
  return call.run(async () => {
    if (model === null) throw new NodeError('INVALID_VALUE', 'it names no model.', { remedy: 'Set model in its configuration.' });
    if (settings.llmGateway === null && settings.mockLlm === true) return { url: null, bytes: mockPicture(request.prompt), mediaType: 'image/png', model, size, costUnits: 0, mock: true };
    const route = await routeOf(model, call, ways);
    if (route.provider.image === undefined) throw new NodeError('NOT_SUPPORTED', `its provider ${route.name} makes no pictures.`, { remedy: 'Use openai, google, azure or openai-compatible.' });
    const urls: string[] = [];
    const painter = await route.provider.image({ ...route.options, fetch: withUrls(route.options.fetch, urls) });
    const { images } = await painter.doGenerate({ ...optionsOf(request, size, call), abortSignal: binding.signal, headers: { 'Idempotency-Key': binding.idempotencyKey } });
    const costUnits = binding.imageCostUnits(model);
    if (urls[0] !== undefined) return { url: urls[0], bytes: null, mediaType: null, model, size, costUnits };
    return { url: null, ...checked(images[0]), model, size, costUnits };
  }, (error) => modelFailure(error, call, what));
}

type Options = Omit<Parameters<Awaited<ReturnType<NonNullable<Awaited<ReturnType<typeof routeOf>>['provider']['image']>>>['doGenerate']>[0], 'abortSignal' | 'headers'>;

function optionsOf({ prompt, quality, style }: ImageRequest, wantedSize: string | null, { binding: { config } }: SourceCall): Options {
  const ratio = textOf(config, 'aspect_ratio');
  const extra = Object.fromEntries(Object.entries({ quality: quality ?? textOf(config, 'quality'), style: style ?? textOf(config, 'style') }).filter(([, value]) => value !== null)) as Record<string, string>;
  return {
    prompt, n: 1, seed: undefined, files: undefined, mask: undefined,
    size: wantedSize !== null && /^\d+x\d+$/.test(wantedSize) ? (wantedSize as `${number}x${number}`) : undefined,
    aspectRatio: ratio !== null && /^\d+:\d+$/.test(ratio) ? (ratio as `${number}:${number}`) : undefined,
    providerOptions: { openai: extra, compatible: extra },
  };
}

/** Some services give a URL where the library knows bytes only: the URL is taken out of the answer on its way. */
function withUrls(fetch: Fetch, urls: string[]): Fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!response.ok || !(response.headers.get('content-type') ?? '').includes('json')) return response;
    const text = await response.text();
    const { status, headers } = response;
    const plain = new Headers(headers);
    for (const name of ['content-encoding', 'content-length']) plain.delete(name);
    return new Response(urlsTaken(text, urls), { status, headers: plain });
  };
}

function urlsTaken(text: string, urls: string[]): string {
  let answer: { data?: { url?: unknown; b64_json?: unknown }[] };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return text;
  }
  if (!Array.isArray(answer.data)) return text;
  for (const entry of answer.data) {
    if (typeof entry?.url !== 'string' || typeof entry.b64_json === 'string') continue;
    if (/^https?:$/.test(URL.parse(entry.url)?.protocol ?? '')) urls.push(entry.url);
    entry.b64_json = '';
  }
  return JSON.stringify(answer);
}

function checked(image: string | Uint8Array | undefined): { bytes: Uint8Array; mediaType: string } {
  const bytes = typeof image === 'string' ? Buffer.from(image, 'base64') : image;
  if (bytes === undefined || bytes.length === 0) throw new NodeError('ANSWER_INVALID', 'gave no picture.');
  if (bytes.length > maxPictureBytes) throw new NodeError('LIMIT_OUTPUT', `gave a picture of more than ${maxPictureBytes} bytes.`, { remedy: 'Ask for a smaller size.' });
  const mediaType = imageTypeOf(bytes);
  if (mediaType === null) throw new NodeError('ANSWER_INVALID', 'gave bytes that are no PNG, JPEG, GIF, WebP or AVIF.', { remedy: 'Use a model that makes one of these.' });
  return { bytes, mediaType };
}
