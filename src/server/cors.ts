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

/** `origins`: as browsers send them, or `*`. */
export function corsHandler(origins: readonly string[]): RequestHandler {
  const allowed = new Set(origins);
  return (request, response, next) => {
    if (allowed.size > 0) response.vary('origin');
    const origin = request.get('origin');
    if (origin === undefined || !(allowed.has('*') || allowed.has(origin.toLowerCase()))) {
      next();
      return;
    }
    response.set({ 'access-control-allow-origin': allowed.has('*') ? '*' : origin, 'access-control-expose-headers': 'x-request-id, retry-after', 'cross-origin-resource-policy': 'cross-origin' });
    if (request.method === 'OPTIONS' && request.get('access-control-request-method') !== undefined) response.set(preflight).status(204).end();
    else next();
  };
}
