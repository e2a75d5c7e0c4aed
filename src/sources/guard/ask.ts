/** One request without the machinery of fetch, for answers that are read whole. Who may be asked is the guard's matter. */
import { pipeline, Readable, type Duplex } from 'node:stream';
import zlib from 'node:zlib';
import type { Dispatcher } from 'undici';
import { NodeError } from '../../errors.ts';
import type { RequestHeaders } from './headers.ts';

export interface Asked {
  method: string;
  headers: RequestHeaders;
  body: string | null;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** Empty for redirects. */
  text: string;
}

/** More packings, one in the other, are nobody's honest answer. */
const maxCodings = 3;
/** Of the body of a redirect, before its connection is given up. */
const maxDroppedBytes = 128 * 1024;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** As fetch reads: what was cut short is read up to there. */
const lenient = { flush: zlib.constants.Z_SYNC_FLUSH, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const lenientBrotli = { flush: zlib.constants.BROTLI_OPERATION_FLUSH, finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH };
const byDefault = { accept: '*/*', 'accept-encoding': 'gzip, br', 'user-agent': 'undici' };

/** Rejects with the signal's reason when that is aborted, and with NodeError LIMIT_OUTPUT when the body, unpacked, has more than `maxBytes`. */
export function askOnce(url: URL, asked: Asked, dispatcher: Dispatcher, maxBytes: number): Promise<Answer> {
  const { method, headers, body, signal } = asked;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const exchange = new Exchange(method, signal, maxBytes, resolve, reject);
    signal.addEventListener('abort', exchange);
    try {
      dispatcher.dispatch({ origin: url.origin, path: `${url.pathname}${url.search}`, method: method, headers: headers.flat(byDefault), body }, exchange);
    } catch (error) {
      exchange.onResponseError(null, error as Error);
    }
  });
}

/** Where an answer points to; null when it is no redirect. */
export function redirectOf(status: number, location: string | null | undefined): string | null {
  return redirects.has(status) ? location ?? null : null;
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly #method: string;
  readonly #signal: AbortSignal;
  readonly #maxBytes: number;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: Record<string, string> = {};
  #isDropped = false;
  #packed: Readable | null = null;
  #chunks: Buffer[] = [];
  #seen = 0;
  /** Why it ended early. */
  #error: Error | null = null;
  #isOver = false;
  /** Nothing more comes through the connection. */
  #isReceived = false;

  constructor(method: string, signal: AbortSignal, maxBytes: number, resolve: (answer: Answer) => void, reject: (error: unknown) => void) {
    this.#method = method;
    this.#signal = signal;
    this.#maxBytes = maxBytes;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Of the signal. */
  handleEvent(): void {
    this.#fail(this.#signal.reason as Error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(this.#error!);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    this.#status = status;
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      this.#headers[name] = Array.isArray(value) ? value.join(', ') : value ?? '';
    }
    this.#isDropped = redirectOf(status, this.#headers['location']) !== null;
    const codings = this.#isDropped || this.#method === 'HEAD' ? [] : codingsOf(this.#headers);
    if (codings.length > 0) this.#unpack(codings, controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#packed !== null) {
      if (!this.#packed.push(chunk)) controller.pause();
      return;
    }
    this.#seen += chunk.byteLength;
    if (!this.#isDropped) {
      if (this.#seen > this.#maxBytes) this.#fail(tooMuch(this.#maxBytes));
      else this.#chunks.push(chunk);
    } else if (this.#seen > maxDroppedBytes) this.#end('');
  }

  onResponseEnd(): void {
    this.#isReceived = true;
    if (this.#packed === null) this.#end(decoded(this.#chunks));
    else this.#packed.push(null);
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#fail(error);
  }

  #unpack(codings: string[], controller: Dispatcher.DispatchController): void {
    this.#packed = new Readable({ read: () => controller.resume() });
    readWhole(this.#packed, codings, this.#maxBytes).then((text) => this.#end(text), (error: Error) => this.#fail(error));
  }

  /** What is packed says itself where it ends, and of a redirect the body is not needed: whatever the source would still send has no reader. */
  #end(text: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this);
    this.#resolve({ status: this.#status, headers: this.#headers, text });
    if (!this.#isReceived) this.#controller?.abort(new Error('nobody reads the rest of the answer'));
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#signal.removeEventListener('abort', this);
    this.#reject(error);
    this.#packed?.destroy(error);
    this.#controller?.abort(error);
  }
}

function tooMuch(maxBytes: number): NodeError {
  return new NodeError('LIMIT_OUTPUT', `The source answered with more than ${maxBytes} bytes.`);
}

function decoded(chunks: readonly Buffer[]): string {
  const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

function codingsOf(headers: Record<string, string>): string[] {
  const given = headers['content-encoding'];
  return given === undefined ? [] : given.toLowerCase().split(',').map((coding) => coding.trim()).filter((coding) => coding !== '' && coding !== 'identity');
}

async function readWhole(body: Readable, codings: string[], maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let seen = 0;
  for await (const chunk of unpacked(body, codings) as AsyncIterable<Buffer>) {
    seen += chunk.byteLength;
    if (seen > maxBytes) throw tooMuch(maxBytes);
    chunks.push(chunk);
  }
  return decoded(chunks);
}

/** What is packed in a way that nobody asked for stays as it is. */
function unpacked(body: Readable, codings: string[]): Readable {
  if (codings.length > maxCodings) throw new NodeError('SOURCE_FAILED', `The answer is packed ${codings.length} times.`);
  const unpackers = codings.toReversed().map(unpackerOf);
  if (unpackers.includes(null)) return body;
  return pipeline([body, ...unpackers as Duplex[]], () => undefined) as unknown as Readable;
}

function unpackerOf(coding: string): Duplex | null {
  if (coding === 'gzip' || coding === 'x-gzip') return zlib.createGunzip(lenient);
  if (coding === 'deflate') return zlib.createInflate(lenient);
  if (coding === 'br') return zlib.createBrotliDecompress(lenientBrotli);
  return null;
}
