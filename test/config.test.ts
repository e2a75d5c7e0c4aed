import { demandVariables, readConfig, type ConfigProblem } from '../src/config.ts';
import type { AgentFlowError } from '../src/errors.ts';

const problemsOf = (act: () => unknown): ConfigProblem[] => {
  try {
    act();
  } catch (error) {
    expect((error as AgentFlowError).code).toBe('CONFIG_INVALID');
    return (error as AgentFlowError).details['problems'] as ConfigProblem[];
  }
  return [];
};
const longEnough = 'x'.repeat(32);

describe('the environment', () => {
  test('has the defaults of the contract', () => {
    expect(readConfig({}, true)).toMatchObject({
      databaseUrl: null, host: '127.0.0.1', port: 5678, dataDir: `${process.cwd()}/.agentflow`, logLevel: 'info', logFormat: 'pretty', environment: 'production',
      mockLlm: null, llmGateway: null, sourceVariables: [], sourceValues: {}, allowHosts: [], warnings: [],
    });
    expect(readConfig({}, false).logFormat).toBe('json');
  });

  test('is read as it says', () => {
    expect(readConfig({
      DATABASE_URL: 'postgres://o:p@db:5432/agentflow', DATABASE_AUTHENTICATOR_URL: 'postgresql://a@db/agentflow', HOST: '0.0.0.0', PORT: '0', JWT_SECRET: longEnough,
      AGENTFLOW_SECRET_KEY: longEnough, WORKER_CONCURRENCY: '25', LOG_LEVEL: 'DEBUG', GRAPHILE_ENV: 'development', AGENTFLOW_MOCK_LLM: '1',
      AGENTFLOW_LLM_GATEWAY_URL: 'http://127.0.0.1:4000/v1', AGENTFLOW_LLM_GATEWAY_KEY: 'k', AGENTFLOW_ALLOW_HOSTS: 'Internal.example:8080, [::1]:80',
      AGENTFLOW_SOURCE_ENV: 'OPENAI_API_KEY, CRM_TOKEN@acme=crm.example;*.crm.example', CRM_TOKEN: 'secret', OPENAI_API_KEY: 'sk', UNRELATED: 'no',
    })).toMatchObject({
      databaseUrl: 'postgres://o:p@db:5432/agentflow', authenticatorUrl: 'postgresql://a@db/agentflow', host: '0.0.0.0', port: 0, jwtSecret: longEnough, secretKey: longEnough,
      workerConcurrency: 25, logLevel: 'debug', environment: 'development', mockLlm: true, llmGateway: { url: 'http://127.0.0.1:4000/v1', key: 'k' },
      allowHosts: ['internal.example:8080', '[::1]:80'],
      sourceVariables: [{ name: 'OPENAI_API_KEY', tenant: null, hosts: null }, { name: 'CRM_TOKEN', tenant: 'acme', hosts: ['crm.example', '*.crm.example'] }],
      sourceValues: { OPENAI_API_KEY: 'sk', CRM_TOKEN: 'secret' },
    });
  });

  test('limits of a worker are read as they say', () => {
    expect(readConfig({}).workerLimits).toEqual({ perTenant: null, perWorkflow: null, perNodeKind: {} });
    expect(readConfig({ WORKER_MAX_PER_TENANT: '20', WORKER_MAX_PER_WORKFLOW: '5', WORKER_MAX_PER_NODE_KIND: 'llm=20, api=100' }).workerLimits)
      .toEqual({ perTenant: 20, perWorkflow: 5, perNodeKind: { llm: 20, api: 100 } });
    const wrong = { WORKER_MAX_PER_TENANT: '0', WORKER_MAX_PER_WORKFLOW: 'all', WORKER_MAX_PER_NODE_KIND: 'llm=20,api,db=0,__proto__=3' };
    expect(problemsOf(() => readConfig(wrong)).map(({ variable }) => variable)).toEqual([...Object.keys(wrong), 'WORKER_MAX_PER_NODE_KIND', 'WORKER_MAX_PER_NODE_KIND']);
    expect(problemsOf(() => readConfig({ WORKER_MAX_PER_NODE_KIND: 'llm=2,llm=3' }))).toMatchObject([{ message: 'names llm twice' }]);
  });

  test('metrics of a worker in production need a token', () => {
    expect(readConfig({ METRICS_PORT: '9464' })).toMatchObject({ metricsPort: 9464, metricsToken: null });
    expect(problemsOf(() => readConfig({ METRICS_PORT: '9464', GRAPHILE_ENV: 'production' }))).toMatchObject([{ variable: 'METRICS_PORT' }]);
    expect(problemsOf(() => readConfig({ METRICS_PORT: '70000', METRICS_TOKEN: 'short' })).map(({ variable }) => variable)).toEqual(['METRICS_TOKEN', 'METRICS_PORT']);
  });

  test('tells all that is wrong at once, and no value', () => {
    const wrong = {
      DATABASE_URL: 'mysql://secret-one', DATABASE_WORKER_URL: 'postgres://secret-two', PORT: '99999', WORKER_CONCURRENCY: 'many', LOG_LEVEL: 'loud', LOG_FORMAT: 'xml', GRAPHILE_ENV: 'prod',
      JWT_SECRET: 'secret-three', AGENTFLOW_SECRET_KEY: 'secret-four', JWKS_URL: 'keys', AGENTFLOW_MOCK_LLM: 'maybe', AGENTFLOW_LLM_GATEWAY_KEY: 'secret-five',
      AGENTFLOW_ALLOW_HOSTS: 'host-without-port', AGENTFLOW_SOURCE_ENV: 'NOT_A_PROVIDER,A-B=x',
    };
    const problems = problemsOf(() => readConfig(wrong));
    expect(problems.map(({ variable }) => variable).toSorted()).toEqual([...Object.keys(wrong), 'AGENTFLOW_SOURCE_ENV'].toSorted());
    expect(JSON.stringify(problems)).not.toMatch(/secret-/);
  });

  test('the face is closed in production, and open on the embedded database unless GRAPHILE_ENV says production', () => {
    const own = { DATABASE_URL: 'postgres://o@db/agentflow' };
    const isClosed = (env: NodeJS.ProcessEnv): boolean => readConfig(env).face.isClosed;
    expect([{}, { GRAPHILE_ENV: 'test' }, { ...own, GRAPHILE_ENV: 'development' }, { ...own, AGENTFLOW_FACE: 'open' }].map(isClosed)).toEqual([false, false, false, false]);
    expect([own, { GRAPHILE_ENV: 'production' }, { AGENTFLOW_FACE: 'closed', GRAPHILE_ENV: 'test' }].map(isClosed)).toEqual([true, true, true]);
  });

  test('the face is read as it says', () => {
    expect(readConfig({
      AGENTFLOW_TRUSTED_DOCUMENTS: 'operations', AGENTFLOW_RATE_TENANT: '50/200', AGENTFLOW_RATE_ADDRESS: '0', AGENTFLOW_TRUST_PROXY: 'loopback, 10.0.0.0/8, ::1',
      AGENTFLOW_CORS_ORIGINS: 'https://app.example, http://localhost:3000', AGENTFLOW_REQUEST_SECONDS: '5',
    }).face).toMatchObject({
      trustedDocuments: `${process.cwd()}/operations`, tenantRate: { perSecond: 50, burst: 200 }, addressRate: null, trustProxy: ['loopback', '10.0.0.0/8', '::1'],
      corsOrigins: ['https://app.example', 'http://localhost:3000'], requestSeconds: 5,
    });
    expect(readConfig({ AGENTFLOW_TRUST_PROXY: '2', AGENTFLOW_RATE_TENANT: '5' }).face).toMatchObject({ trustProxy: 2, tenantRate: { perSecond: 5, burst: 50 } });
    const wrong = {
      AGENTFLOW_FACE: 'half', AGENTFLOW_RATE_TENANT: 'many', AGENTFLOW_RATE_ADDRESS: '10/5', AGENTFLOW_TRUST_PROXY: '10.0.0.300', AGENTFLOW_CORS_ORIGINS: 'app.example', AGENTFLOW_REQUEST_SECONDS: '0',
    };
    expect(problemsOf(() => readConfig(wrong)).map(({ variable }) => variable).toSorted()).toEqual(Object.keys(wrong).toSorted());
  });

  test('counts an empty variable as not set', () => {
    expect(readConfig({ DATABASE_URL: '', PORT: ' ', JWT_SECRET: '' })).toMatchObject({ databaseUrl: null, port: 5678, jwtSecret: null });
  });

  test('cannot be changed afterwards', () => {
    const config = readConfig({ AGENTFLOW_ALLOW_HOSTS: 'a:1' });
    expect(() => { (config as { port: number }).port = 1; }).toThrow(TypeError);
    expect(() => { (config.allowHosts as string[]).push('b:2'); }).toThrow(TypeError);
  });

  test('warns of a variable of ours that does not exist', () => {
    expect(readConfig({ AGENTFLOW_MOCK_LM: '1' }).warnings).toEqual([expect.stringContaining('AGENTFLOW_MOCK_LM')]);
  });

  test('without what a command needs is refused, naming everything that is missing', () => {
    const config = readConfig({ DATABASE_URL: 'postgres://o@db/agentflow' });
    expect(problemsOf(() => demandVariables(config, ['authenticatorUrl', 'workerUrl', 'jwt', 'secretKey'])).map(({ variable }) => variable))
      .toEqual(['DATABASE_AUTHENTICATOR_URL', 'DATABASE_WORKER_URL', 'JWT_SECRET (or JWKS_URL)', 'AGENTFLOW_SECRET_KEY']);
    const complete = readConfig({ DATABASE_URL: 'postgres://o@db/agentflow', JWKS_URL: 'https://id.example/keys', JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'agentflow', AGENTFLOW_SECRET_KEY: longEnough });
    expect(problemsOf(() => demandVariables(complete, ['jwt', 'secretKey']))).toEqual([]);
  });
});
