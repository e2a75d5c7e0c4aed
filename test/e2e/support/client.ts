/** A client of a running AgentFlow that knows what a stranger's script knows: server.json, and nothing else. */
import type { ServerFile } from '../../../src/cli/server-file.ts';

export interface Answer {
  status: number;
  data: any;
  errors?: { message: string; extensions: Record<string, unknown> }[];
}

export interface ApiClient {
  headers: Record<string, string>;
  /** Whatever comes back. */
  ask(query: string, variables?: object): Promise<Answer>;
  /** The data; an error in the answer is thrown. */
  data(query: string, variables?: object): Promise<any>;
}

export const sampleWorkflow = '660e8400-e29b-41d4-a716-446655440000';

/** Signs in with the sample login whose address begins so. */
export async function signIn({ graphqlUrl, samples }: ServerFile, name: string): Promise<ApiClient> {
  const { email, password } = samples!.users.find((user) => user.email.startsWith(name))!;
  const { authenticate } = await clientOf(graphqlUrl, {})
    .data('mutation ($input: AuthenticateInput!) { authenticate(input: $input) { jwt } }', { input: { email, password } });
  return clientOf(graphqlUrl, { authorization: `Bearer ${authenticate.jwt}` });
}

export function clientOf(graphqlUrl: string, headers: Record<string, string>): ApiClient {
  const ask = (query: string, variables: object = {}): Promise<Answer> => post(graphqlUrl, JSON.stringify({ query, variables }), headers);
  return {
    headers, ask,
    async data(query, variables) {
      const { data, errors } = await ask(query, variables);
      if (errors) throw new Error(JSON.stringify(errors));
      return data;
    },
  };
}

export async function post(graphqlUrl: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(graphqlUrl, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json', ...headers }, body });
  return { status: response.status, ...await response.json() as Omit<Answer, 'status'> };
}

/** Asks again until `isEnough`; jest's limit ends it when that never comes. */
export async function until<T>(read: () => Promise<T>, isEnough: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (isEnough(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
