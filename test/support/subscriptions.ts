/** A graphql-ws client whose answers can be awaited one by one. */
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Data } from './api.ts';

export interface Watching {
  /** The next answer; null when the subscription has ended. Fails after a minute. */
  next(): Promise<Data>;
  stop(): void;
}

export interface Opened {
  client: Client;
  /** Close code and reason. */
  closed: Promise<{ code: number; reason: string }>;
}

export function openClient(url: string, params: Record<string, unknown> = {}, headers: Record<string, string> = {}): Opened {
  let settle: (closed: { code: number; reason: string }) => void;
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    settle = resolve;
  });
  class Socket extends WebSocket {
    constructor(address: string, protocols: string[]) {
      super(address, protocols, { headers });
    }
  }
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: Socket, connectionParams: params, retryAttempts: 0, lazy: false, onNonLazyError: () => {},
    on: { closed: (event) => settle({ code: (event as CloseEvent).code, reason: (event as CloseEvent).reason }) },
  });
  return { client, closed };
}

export function watch({ client }: Opened, query: string, variables: Record<string, unknown> = {}): Watching {
  const iterator = client.iterate({ query, variables });
  return {
    async next() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('No answer in a minute')), 60_000);
      });
      const result = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
      return result.done ? null : result.value;
    },
    stop: () => void iterator.return?.(),
  };
}
