/** What graphql-cop asks of an endpoint, asked by ourselves: it is in no package registry. One line a question that was answered wrongly. */

interface Answered {
  status: number;
  text: string;
  /** Undefined when the answer is no JSON. */
  body: { data?: Record<string, unknown> | null; errors?: { message: string; extensions?: Record<string, unknown> }[] } | undefined;
}

interface Question {
  name: string;
  ask: (url: string) => Promise<Answered>;
  /** What must not be so. */
  isWrong: (answer: Answered) => boolean;
}

const query = (text: string) => (url: string): Promise<Answered> => send(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query: text }) });
const hasData = ({ body }: Answered): boolean => Array.isArray(body) || (body?.data !== undefined && body.data !== null);
const deep = (levels: number): string => `${'fields { type { '.repeat(levels)}name${' } }'.repeat(levels)}`;

const questions: Question[] = [
  { name: 'introspection', ask: query('{ __schema { types { name } } }'), isWrong: hasData },
  { name: 'circular introspection', ask: query(`{ __schema { types { ${deep(12)} } } }`), isWrong: hasData },
  { name: 'an IDE', ask: (url) => send(url.replace(/graphql$/, 'graphiql'), { headers: { accept: 'text/html' } }), isWrong: ({ status, text }) => status === 200 && /graphiql|ruru|playground/i.test(text) },
  { name: 'suggestions of names', ask: query('{ workflow2 }'), isWrong: ({ text }) => /did you mean/i.test(text) },
  { name: 'queries over GET', ask: (url) => send(`${url}?query=${encodeURIComponent('{__typename}')}`, {}), isWrong: hasData },
  { name: 'mutations over GET', ask: (url) => send(`${url}?query=${encodeURIComponent('mutation {__typename}')}`, {}), isWrong: hasData },
  { name: 'forms (CSRF)', ask: (url) => send(url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `query=${encodeURIComponent('{__typename}')}` }), isWrong: hasData },
  { name: 'plain text (CSRF)', ask: (url) => send(url, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: JSON.stringify({ query: '{__typename}' }) }), isWrong: hasData },
  { name: 'parameters of the address (CSRF)', ask: (url) => send(`${url}?query=${encodeURIComponent('{__typename}')}`, { method: 'POST' }), isWrong: hasData },
  { name: 'batches', ask: (url) => send(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(Array.from({ length: 10 }, () => ({ query: '{__typename}' }))) }), isWrong: hasData },
  { name: '101 aliases', ask: query(`{ ${Array.from({ length: 101 }, (_, index) => `alias${index}: __typename`).join(' ')} }`), isWrong: hasData },
  { name: 'a field 500 times', ask: query(`{ ${'__typename '.repeat(500)} }`), isWrong: hasData },
  { name: '10 directives', ask: query('{ __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }'), isWrong: ({ body }) => body?.errors?.length === 10 },
  { name: 'fragments in a circle', ask: query('{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'), isWrong: (answer) => hasData(answer) || answer.status >= 500 },
  { name: 'traces', ask: query('{ __typename }'), isWrong: ({ text }) => /tracing|stacktrace|"explain"/i.test(text) },
  { name: 'unhandled errors', ask: query('qwerty cop { abc }'), isWrong: ({ status, text }) => status >= 500 || /exception|stacktrace|node_modules/i.test(text) },
];

/** `url` ends in /graphql. */
export async function copFindings(url: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name, ask, isWrong } of questions) {
    const answer = await ask(url);
    if (isWrong(answer)) found.push(`${name}: ${answer.status} ${answer.text.slice(0, 160)}`);
  }
  return found;
}

export const numberOfQuestions = questions.length;

async function send(url: string, init: RequestInit): Promise<Answered> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  return { status: response.status, text, body: parsed(text) };
}

function parsed(text: string): Answered['body'] {
  try {
    return JSON.parse(text) as Answered['body'];
  } catch (error) {
    if (error instanceof SyntaxError || (error as Error).name === 'SyntaxError') return undefined; // a page
    throw error;
  }
}
