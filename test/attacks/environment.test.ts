/** Every variable of this process, and every one that AgentFlow knows, named as a key by a source of each kind: only what is listed leaves, and only where it may. */
import { readConfig } from '../../src/config.ts';
import type { JsonObject, SourcePort } from '../../src/engine/types.ts';
import { report } from '../support/attacks.ts';
import { useLocalServer, useSources } from '../support/sources.ts';

const service = useLocalServer();
const sources = useSources();

const planted = (name: string): string => `planted-${Buffer.from(name).toString('hex')}`;
const known = [
  'ROOT_DATABASE_URL', 'DATABASE_AUTHENTICATOR_URL', 'DATABASE_WORKER_URL', 'SHADOW_DATABASE_URL', 'READ_REPLICA_URL', 'JWT_SECRET', 'AGENTFLOW_SECRET_KEY', 'AGENTFLOW_SECRET_KEY_OLD', 'AGENTFLOW_LLM_GATEWAY_KEY', 'PGPASSWORD',
  'AWS_SECRET_ACCESS_KEY', 'AZURE_API_KEY', 'GITHUB_TOKEN', 'NPM_TOKEN', 'KUBECONFIG', 'SSH_AUTH_SOCK', 'OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'GEMINI_API_KEY', 'GROQ_API_KEY', 'MISTRAL_API_KEY', 'ALLOWED_KEY', 'OTHER_TENANTS_KEY', '__proto__', 'constructor', 'toString', 'hasOwnProperty',
];
const names = [...new Set([...Object.keys(process.env), ...known])];

function configs(name: string): [kind: string, config: JsonObject, call: (port: SourcePort) => Promise<unknown>][] {
  const llm = (port: SourcePort): Promise<unknown> => port.llm({ prompt: 'x', system: null, temperature: null, maxTokens: 5, topP: null, json: null });
  const api = (port: SourcePort): Promise<unknown> => port.api({ method: 'GET', path: '', query: {}, headers: {}, body: undefined });
  const base = `${service.url()}/v1`;
  return [
    ['llm', { provider: 'openai', model: 'm', base_url: base, api_key_env: name }, llm], ['llm', { provider: 'anthropic', model: 'm', base_url: base, key_env: name }, llm], ['llm', { provider: 'openai-compatible', model: 'm', base_url: base, api_key_env: name }, llm],
    ['image', { provider: 'openai', model: 'm', base_url: base, api_key_env: name }, (port) => port.image({ prompt: 'x', size: null, quality: null, style: null })],
    ['api', { base_url: base, token_env: name }, api], ['api', { base_url: base, auth: { type: 'header', header: 'x-k', token_env: name } }, api], ['api', { base_url: base, auth: { type: 'basic', username: 'u', password_env: name } }, api],
    ['api', { base_url: base, auth: { type: 'basic', username_env: name, password_env: name } }, api], ['api', { base_url: base, headers: { 'x-h': { env: name } } }, api], ['api', { base_url: `${base}?k=$${name}`, headers: { 'x-h': `\${${name}}` } }, api],
    ['db', { connection_string_env: name }, (port) => port.db({ text: 'select 1', values: [], limit: 1, timeoutSeconds: 1 })],
  ];
}

test(`${names.length} variables in eleven places each: none leaves that is not listed`, async () => {
  const environment = Object.fromEntries(names.map((name) => [name, planted(name)]));
  const config = readConfig({
    ...Object.fromEntries(Object.entries(environment).filter(([name]) => /_KEY$|TOKEN|PASSWORD/.test(name))), JWT_SECRET: planted('JWT_SECRET').padEnd(40, 'x'), AGENTFLOW_SECRET_KEY: planted('AGENTFLOW_SECRET_KEY'), AGENTFLOW_LLM_GATEWAY_KEY: '',
    AGENTFLOW_SOURCE_ENV: `ALLOWED_KEY@acme=127.0.0.1,OTHER_TENANTS_KEY@globex=127.0.0.1,GITHUB_TOKEN=api.github.com`, AGENTFLOW_ALLOW_HOSTS: service.host(),
  }, false);
  service.answer((_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  const hits: string[] = [];
  let attempts = 0;
  for (const name of names) {
    for (const [kind, source, call] of configs(name)) {
      attempts += 1;
      const before = service.requests.length;
      const error = await call(sources.port(source, config)).then(() => null, (caught: Error) => caught);
      const sent = JSON.stringify(service.requests.slice(before));
      const value = environment[name]!;
      const leaks = (text: string): boolean => [value, Buffer.from(`u:${value}`).toString('base64'), Buffer.from(`${value}:${value}`).toString('base64')].some((form) => text.includes(form));
      if (leaks(sent) !== (name === 'ALLOWED_KEY' && kind !== 'db' && !JSON.stringify(source).includes('${'))) hits.push(`${kind} ${JSON.stringify(source)}: ${sent}`);
      if (error !== null && leaks(error.message)) hits.push(`${kind} ${JSON.stringify(source)} says ${error.message}`);
    }
  }
  report('variables of the process named as keys', attempts, hits);
  expect(hits).toEqual([]);
}, 300_000);
