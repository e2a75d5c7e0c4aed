/** `GET /`: what is where; and the icon that browsers ask for. */
import type { RequestHandler } from 'express';

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AgentFlow</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #222; }
  dt { font-weight: 600; margin-top: .8rem; }
  dd { margin-left: 0; }
  code { background: #f2f2f2; padding: .1em .3em; }
  @media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } a { color: #8ab4ff; } code { background: #2a2a2a; } }
</style>
</head>
<body>
<h1>AgentFlow</h1>
<p>A PostgreSQL schema of workflows, the API made from it, and a worker that runs them.</p>
<dl>
<dt><a href="/graphiql">/graphiql</a></dt><dd>Write and send GraphQL in the browser. The first tab shows the main job.</dd>
<dt><code>POST /graphql</code></dt><dd>The API; subscriptions over WebSocket (graphql-ws) at the same address.
Identify with <code>Authorization: Bearer &lt;jwt&gt;</code> or <code>X-API-Key: sk_live_...</code></dd>
<dt><a href="/healthz">/healthz</a></dt><dd>Is this process alive?</dd>
<dt><a href="/readyz">/readyz</a></dt><dd>Can it serve: database, migrations, jobs?</dd>
</dl>
</body>
</html>
`;

export const startPage: RequestHandler = (_request, response) => {
  response.type('html').send(page);
};

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#3465c9" stroke-width="3"><path d="M8 8v16M8 16h8l8-8M16 16l8 8"/></g>
<g fill="#3465c9"><circle cx="8" cy="8" r="4"/><circle cx="24" cy="8" r="4"/><circle cx="24" cy="24" r="4"/><circle cx="8" cy="24" r="4"/></g></svg>`;

export const favicon: RequestHandler = (_request, response) => {
  response.set('cache-control', 'public, max-age=86400').type('image/svg+xml').send(icon);
};
