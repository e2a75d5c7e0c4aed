/** The world outside: takes calls of nodes at `/<run>/<node>`, and remembers under which idempotency keys each was made. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Calls {
  count: number;
  keys: Set<string>;
}

export interface Outside {
  /** `host:port` */
  address: string;
  calls: Map<string, Calls>;
  /** Most calls that were under way at once since it was last read. */
  readMost(): number;
  close(): Promise<void>;
}

export async function openOutside(delayMs: number): Promise<Outside> {
  const calls = new Map<string, Calls>();
  let now = 0;
  let most = 0;
  const server = http.createServer((request, response) => {
    const place = request.url!;
    const known = calls.get(place) ?? { count: 0, keys: new Set() };
    calls.set(place, known);
    known.count += 1;
    now += 1;
    most = Math.max(most, now);
    response.on('close', () => {
      now -= 1;
    });
    known.keys.add(String(request.headers['idempotency-key']));
    request.resume().on('end', () => {
      void sleep(delayMs).then(() => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ done: place })));
    });
    response.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    readMost() {
      const read = most;
      most = now;
      return read;
    },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}
