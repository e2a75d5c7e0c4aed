/** One request without the machinery of fetch, for answers that are read whole. Who may be asked is the guard's matter. */
import { pipeline, type Duplex, type Readable } from 'node:stream';
import zlib from 'node:zlib';
import { request as undiciRequest, type Dispatcher } from 'undici';
import { NodeError } from '../../errors.ts';

export interface Asked {
  method: string;
  headers: Headers;
  body: string | null;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  text: string;
}

interface Begun {
  status: number;
  location: string | null;
  drop(): Promise<void>;
  /** @throws NodeError LIMIT_OUTPUT when the body, unpacked, has more bytes than that. */
  read(maxBytes: number): Promise<Answer>;
}

/** More packings, one in the other, are nobody's honest answer. */
const maxCodings = 3;
/** As fetch reads: what was cut short is read up to there. */
const lenient = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const lenientBrotli = { flush: zlib.constants.BROTLI_OPERATION_FLUSH, finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH };

export async function askOnce(url: URL, { method, headers, body, signal }: Asked, dispatcher: Dispatcher): Promise<Begun> {
  const sent: Record<string, string> = { accept: '*/*', 'accept-encoding': 'gzip, br', 'user-agent': 'undici' };
  for (const [name, value] of headers) sent[name] = value;
  const response = await undiciRequest(url, { method, headers: sent, body, signal, dispatcher });
  const received = joined(response.headers);
  return {
    status: response.statusCode,
    location: received['location'] ?? null,
    drop: () => response.body.dump(),
    async read(maxBytes) {
      const text = await textOf(response, { codings: method === 'HEAD' ? [] : codingsOf(received), length: received['content-length'] ?? null, maxBytes });
      return { status: response.statusCode, headers: received, text };
    },
  };
}

function joined(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value ?? '']));
}

function codingsOf(headers: Record<string, string>): string[] {
  return (headers['content-encoding'] ?? '').toLowerCase().split(',').map((coding) => coding.trim()).filter((coding) => coding !== '' && coding !== 'identity');
}

async function textOf({ body }: Dispatcher.ResponseData, { codings, length, maxBytes }: { codings: string[]; length: string | null; maxBytes: number }): Promise<string> {
  const tooMuch = (): NodeError => new NodeError('LIMIT_OUTPUT', `The source answered with more than ${maxBytes} bytes.`);
  // The connection is cut at the length that was announced; only what is unpacked can become more.
  if (codings.length === 0 && length !== null && Number(length) <= maxBytes) return body.text();
  const chunks: Buffer[] = [];
  let seen = 0;
  for await (const chunk of unpacked(body, codings) as AsyncIterable<Buffer>) {
    seen += chunk.byteLength;
    if (seen > maxBytes) throw tooMuch();
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

/** What is packed in a way that nobody asked for stays as it is. */
function unpacked(body: Readable, codings: string[]): Readable {
  if (codings.length > maxCodings) throw new NodeError('SOURCE_FAILED', `The answer is packed ${codings.length} times.`);
  const unpackers = codings.toReversed().map(unpackerOf);
  if (unpackers.length === 0 || unpackers.includes(null)) return body;
  return pipeline([body, ...unpackers as Duplex[]], () => undefined) as unknown as Readable;
}

function unpackerOf(coding: string): Duplex | null {
  if (coding === 'gzip' || coding === 'x-gzip') return zlib.createGunzip(lenient);
  if (coding === 'deflate') return zlib.createInflate(lenient);
  if (coding === 'br') return zlib.createBrotliDecompress(lenientBrotli);
  return null;
}
