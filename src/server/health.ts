/** `/healthz`: the process is alive. `/readyz`: what it needs is there, each part by name. */
import type { RequestHandler } from 'express';
import type { Log } from './errors.ts';

export interface Check {
  name: 'database' | 'migrations' | 'worker' | 'serving';
  ok: boolean;
  /** What is wrong, for whoever operates this; null when nothing is. */
  problem: string | null;
}

export interface Health {
  check(): Promise<Check[]>;
}

export const healthHandler: RequestHandler = (_request, response) => {
  response.json({ status: 'ok' });
};

export function readinessHandler(health: Health, log: Log): RequestHandler {
  return async (_request, response) => {
    const checks = await health.check();
    const isReady = checks.every(({ ok }) => ok);
    if (!isReady) log.warn({ checks }, 'Not ready');
    response.status(isReady ? 200 : 503).json({ status: isReady ? 'ready' : 'unavailable', checks });
  };
}
