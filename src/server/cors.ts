/**
 * Pages of other sites may call when their origin is listed, and are told nothing otherwise. There are no cookies, so nothing comes along by itself:
 * a page must hold the token or key that it sends.
 */
import type { RequestHandler } from 'express';

const preflight = {
  'access-control-allow-methods': 'GET, POST',
  'access-control-allow-headers': 'authorization, content-type, accept, x-api-key, x-request-id',
  'access-control-max-age': '7200',
};

export type CorsHeaders = (origin: string | undefined) => Readonly<Record<string, string>>;

/** What an answer to a page of this origin says. `origins`: as browsers send them, or `*`. */
export function corsHeadersFor(origins: readonly string[]): CorsHeaders {
  const allowed = new Set(origins);
  const always: Readonly<Record<string, string>> = allowed.size > 0 ? { vary: 'origin' } : {};
  return (origin) => {
    if (origin === undefined || !(allowed.has('*') || allowed.has(origin.toLowerCase()))) return always;
    return { ...always, 'access-control-allow-origin': allowed.has('*') ? '*' : origin, 'access-control-expose-headers': 'x-request-id, retry-after', 'cross-origin-resource-policy': 'cross-origin' };
  };
}

export function corsHandler(headersFor: CorsHeaders): RequestHandler {
  return (request, response, next) => {
    const headers = headersFor(request.get('origin'));
    response.set(headers);
    const isAllowed = headers['access-control-allow-origin'] !== undefined;
    if (isAllowed && request.method === 'OPTIONS' && request.get('access-control-request-method') !== undefined) response.set(preflight).status(204).end();
    else next();
  };
}
