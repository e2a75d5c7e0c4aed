/** Sources as a worker has them, and a local HTTP server that answers as a test says. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject, SourcePort } from '../../src/engine/types.ts';
import { createSources, type SourceBinding, type SourceSettings } from '../../src/sources/index.ts';

export interface UsedSources {
  port(config: JsonObject, settings?: Partial<SourceSettings>, binding?: Partial<SourceBinding>): SourcePort;
}

/** Call at the top of a test file: what `port` opens is closed after each test. */
export function useSources(): UsedSources {
  const closing: (() => Promise<void>)[] = [];
  afterEach(() => Promise.all(closing.splice(0).map((close) => close())));
  return {
    port(config, settings = {}, binding = {}) {
      const sources = createSources({ sourceVariables: [], sourceValues: {}, allowHosts: [], llmGateway: null, mockLlm: null, ...settings });
      closing.push(() => sources.close());
      return sources.port({
        nodeId: 'n', tenantSlug: 'acme', sourceName: 's', config, signal: new AbortController().signal, idempotencyKey: 'key-1',
        costUnits: (_model, input, output) => input + 100 * output, imageCostUnits: () => 7, ...binding,
      });
    },
  };
}

export interface LocalRequest {
  method: string;
  url: string;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export interface LocalServer {
  url(): string;
  host(): string;
  requests: LocalRequest[];
  /** Answers from now on; back to an empty 200 before each test. */
  answer(listener: (request: LocalRequest, response: http.ServerResponse) => void): void;
  json(body: unknown, status?: number, headers?: Record<string, string>): void;
}

/** Call at the top of a test file. */
export function useLocalServer(): LocalServer {
  const requests: LocalRequest[] = [];
  let listener: (request: LocalRequest, response: http.ServerResponse) => void;
  const server = http.createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request = { method: incoming.method!, url: incoming.url!, headers: incoming.headers, body: Buffer.concat(chunks).toString() };
      requests.push(request);
      listener(request, response);
    });
  });
  beforeAll(() => new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  }));
  beforeEach(() => {
    requests.length = 0;
    listener = (_request, response) => response.end();
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const host = (): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    requests, host,
    url: () => `http://${host()}`,
    answer(next) {
      listener = next;
    },
    json(body, status = 200, headers = {}) {
      listener = (_request, response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    },
  };
}
