import path from 'node:path';
import type { Config } from '../config.ts';
import type { Samples } from '../schema/samples.ts';
import type { OpenDatabase } from './open-database.ts';
import { version } from './version.ts';

/** What a person sees once everything is up: where it is, who to be, what to try. */
export function banner(config: Config, database: OpenDatabase, url: string, samples: Samples | null): string {
  const file = path.relative(process.cwd(), path.join(config.dataDir, 'server.json'));
  return [
    '',
    `AgentFlow ${version} is running on ${database.description}.`,
    '',
    `  GraphiQL   ${url}/graphiql`,
    `  GraphQL    ${url}/graphql`,
    `  Addresses and logins for scripts: ${file}`,
    '',
    ...(samples ? sampleLines(samples) : []),
    ...(config.mockLlm ? ['  Models are MOCKED: answers are made up here, and marked so. Set OPENAI_API_KEY or AGENTFLOW_LLM_GATEWAY_URL for real ones.', ''] : []),
    ...(samples ? tryFirst(url) : []),
    '  Ctrl-C stops everything.',
    '',
  ].join('\n');
}

function sampleLines(samples: Samples): string[] {
  const [first] = samples.users;
  if (!first) return [];
  const width = Math.max(...samples.users.map(({ email }) => email.length));
  return [
    `  Sample logins (password of all: ${first.password})`,
    ...samples.users.map(({ email, role, tenantId }) => `    ${email.padEnd(width)}  ${role.padEnd(9)}  tenant ${tenantId}`),
    `  Sample API key: ${samples.apiKey}`,
    '',
  ];
}

function tryFirst(url: string): string[] {
  return [
    '  Try first:',
    `    1. In another terminal: npx agentflow workflow run "Customer Support Bot" --input "Where is my order?" --follow`,
    `    2. Open ${url}/graphiql, put the password into the first operation, and run it with Ctrl-Enter.`,
    '    3. Put the jwt that it returns into "Headers" there: {"Authorization": "Bearer <jwt>"}, and run the other operations.',
    '',
  ];
}
