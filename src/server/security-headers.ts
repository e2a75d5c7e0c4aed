/** Response headers that keep browsers from doing with our answers what they are not for. */
import type { RequestHandler } from 'express';

type Headers = Readonly<Record<string, string>>;

const common = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** GraphiQL runs inline scripts of its own page and its editor makes workers from blobs; nothing comes from elsewhere. */
const pageContentPolicy = [
  "default-src 'self'", "script-src 'self' 'unsafe-inline'", "style-src 'self' 'unsafe-inline'", "worker-src 'self' blob:",
  "img-src 'self' data:", "font-src 'self' data:", "connect-src 'self' ws: wss:", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
].join('; ');

/** A year; told only to who came by TLS, directly or through a proxy that we trust. */
function overTls(isSecure: boolean): Record<string, string> {
  return isSecure ? { 'strict-transport-security': 'max-age=31536000; includeSubDomains' } : {};
}

const [apiPlain, apiOverTls] = [false, true].map((isSecure) =>
  Object.freeze({ ...common, ...overTls(isSecure), 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'cache-control': 'no-store' })) as unknown as [Headers, Headers];

/** Of every answer that is no page. */
export function apiHeaders(isSecure: boolean): Headers {
  return isSecure ? apiOverTls : apiPlain;
}

export const apiPolicy: RequestHandler = (request, response, next) => {
  response.set(apiHeaders(request.secure));
  next();
};

export const pagePolicy: RequestHandler = (request, response, next) => {
  response.set({ ...common, ...overTls(request.secure), 'content-security-policy': pageContentPolicy });
  next();
};
