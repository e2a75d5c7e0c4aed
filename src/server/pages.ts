/** `GET /`: what is where; `GET /join`: where one-time links lead; the way in to GraphiQL where the face is closed; and the icon that browsers ask for. */
import type { RequestHandler } from 'express';

const style = `
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color: #222; }
  dt { font-weight: 600; margin-top: .8rem; }
  dd { margin-left: 0; }
  code { background: #f2f2f2; padding: .1em .3em; overflow-wrap: anywhere; }
  label { display: block; margin-top: .8rem; }
  input, button { font: inherit; padding: .3em .5em; width: 100%; max-width: 24rem; box-sizing: border-box; }
  button { margin-top: 1.2rem; }
  @media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } a { color: #8ab4ff; } code { background: #2a2a2a; } }
`;

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

const start = page('AgentFlow', `<h1>AgentFlow</h1>
<p>A PostgreSQL schema of workflows, the API made from it, and a worker that runs them.</p>
<dl>
<dt><a href="/graphiql">/graphiql</a></dt><dd>Write and send GraphQL in the browser. The first tab shows the main job.</dd>
<dt><code>POST /graphql</code></dt><dd>The API; subscriptions over WebSocket (graphql-ws) at the same address.
Identify with <code>Authorization: Bearer &lt;jwt&gt;</code> or <code>X-API-Key: sk_live_...</code></dd>
<dt><a href="/healthz">/healthz</a></dt><dd>Is this process alive?</dd>
<dt><a href="/schemas/workflow.json">/schemas/workflow.json</a>, <a href="/schemas/flow.json">/schemas/flow.json</a></dt><dd>For editors: the <code>$schema</code> of documents.</dd>
<dt><a href="/readyz">/readyz</a></dt><dd>Can it serve: database, migrations, jobs?</dd>
</dl>`);

const useLink = 'mutation ($input: UseAccessLinkInput!) { useAccessLink(input: $input) { user { email name role } } }';
const signIn = 'mutation ($input: AuthenticateInput!) { authenticate(input: $input) { jwt } }';

/** What these pages send: trusted everywhere. */
export const ownOperations: readonly string[] = [useLink, signIn];

/** The token stays in the browser: it stands behind the #, which is not sent. */
const joinScript = `
  const form = document.querySelector('form'), said = document.querySelector('output');
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { name, password, again } = Object.fromEntries(new FormData(form));
    if (password !== again) { said.textContent = 'The two passwords differ.'; return; }
    const query = '${useLink}';
    const input = { token: location.hash.slice(1), password, name: name || null };
    const answer = await globalThis['fetch']('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables: { input } }) });
    const { data, errors } = await answer.json();
    if (errors) { said.textContent = errors[0].message + ' ' + (errors[0].extensions.remedy || ''); return; }
    const { email, role } = data.useAccessLink.user;
    form.remove();
    said.textContent = 'You are in: sign in as ' + email + ' (' + role.toLowerCase() + ') from now on.';
    history.replaceState(null, '', '/join');
  });
`;

const join = page('AgentFlow: choose a password', `<h1>Choose a password</h1>
<p>This link was made for you: it works once. A password has 10 characters or more; several words that have nothing to do with each other are good.</p>
<form>
<label>Your name (when you are new) <input name="name" autocomplete="name" maxlength="255"></label>
<label>Password <input name="password" type="password" autocomplete="new-password" required></label>
<label>Once more <input name="again" type="password" autocomplete="new-password" required></label>
<button>Go on</button>
</form>
<p><output></output></p>
<script>${joinScript}</script>`);

/** What it gets is written into this very document: a page that was asked for with a header cannot be gone to. */
const signInScript = `{
  const form = document.querySelector('form'), said = document.querySelector('output'), ask = globalThis['fetch'];
  async function open(headers) {
    const page = await ask(location.pathname, { headers });
    if (!page.ok) { const { errors } = await page.json(); said.textContent = errors[0].message; return; }
    const html = await page.text();
    document.open(); document.write(html); document.close();
  }
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const { email, password, key } = Object.fromEntries(new FormData(form));
    if (key) { await open({ 'X-API-Key': key }); return; }
    const query = '${signIn}';
    const answer = await ask('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables: { input: { email, password } } }) });
    const { data, errors } = await answer.json();
    if (errors) { said.textContent = errors[0].message; return; }
    await open({ Authorization: 'Bearer ' + data.authenticate.jwt });
  });
}`;

const signInHtml = page('AgentFlow: sign in', `<h1>Sign in</h1>
<p>The editor for GraphQL is for those who are signed in.</p>
<form>
<label>E-mail <input name="email" type="email" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<label>Or an API key <input name="key" autocomplete="off"></label>
<button>Go on</button>
</form>
<p><output></output></p>
<script>${signInScript}</script>`);

/** In the place of GraphiQL, for nobody. */
export const signInPage: RequestHandler = (_request, response) => {
  response.status(401).type('html').send(signInHtml);
};

const send = (html: string): RequestHandler => (_request, response) => {
  response.type('html').send(html);
};

export const startPage = send(start);
export const joinPage = send(join);

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#3465c9" stroke-width="3"><path d="M8 8v16M8 16h8l8-8M16 16l8 8"/></g>
<g fill="#3465c9"><circle cx="8" cy="8" r="4"/><circle cx="24" cy="8" r="4"/><circle cx="24" cy="24" r="4"/><circle cx="8" cy="24" r="4"/></g></svg>`;

export const favicon: RequestHandler = (_request, response) => {
  response.set('cache-control', 'public, max-age=86400').type('image/svg+xml').send(icon);
};
