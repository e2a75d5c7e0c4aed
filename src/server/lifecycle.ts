/** Opening and closing of what a server holds. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentFlowError } from '../errors.ts';
import type { Log } from './errors.ts';
import { createServer } from './node-http.ts';

const idleCheckMs = 20;

/** Throws PORT_IN_USE. */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(error.code === 'EADDRINUSE'
        ? new AgentFlowError('PORT_IN_USE', `Port ${port} of ${host} is taken by another process.`, { cause: error, details: { port, host } })
        : error);
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

/** Listens for a moment, so that nothing is made for a server that could not. Throws PORT_IN_USE. */
export async function tryPort(host: string, port: number): Promise<void> {
  const probe = createServer();
  await listen(probe, host, port);
  await new Promise((resolve) => probe.close(resolve));
}

export function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Running requests finish; connections without one are closed at once, and all of them after `graceMs`. */
export function closeHttp(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = setTimeout(() => server.closeAllConnections(), graceMs);
    // A connection whose request ends meanwhile is kept alive by its client, and would hold the stop up.
    const idle = setInterval(() => server.closeIdleConnections(), idleCheckMs);
    server.close(() => {
      clearTimeout(cutOff);
      clearInterval(idle);
      resolve();
    });
  });
}

/** Runs all of it, the last first; a failure is logged and does not keep the others from running. */
export async function undoAll(steps: (() => Promise<void>)[], log: Log): Promise<void> {
  for (const step of steps.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      log.warn({ err: error }, 'Something could not be released');
    }
  }
}
