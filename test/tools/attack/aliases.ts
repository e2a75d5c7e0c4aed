/** Many sign-ins in one request, in every way that GraphQL has: at most one may be tried. */
import { openClient, watch } from '../../support/subscriptions.ts';
import { type Attack, Counter, faultsOf } from './target.ts';

const one = (email: string, index: number): string => `authenticate(input: { email: "${email}", password: "guess ${index}" }) { jwt }`;
const times = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');

/** Bodies that each hold a thousand guesses (or as many as the form can hold). */
function storms(email: string): [way: string, body: unknown][] {
  const aliased = `mutation { ${times(1_000, (index) => `a${index}: ${one(email, index)}`)} }`;
  const few = `mutation { ${times(20, (index) => `a${index}: ${one(email, index)}`)} }`;
  return [
    ['aliases', { query: aliased }],
    ['few aliases', { query: few }],
    ['fragments', { query: `mutation { ${times(20, (index) => `...F${index}`)} } ${times(20, (index) => `fragment F${index} on Mutation { b${index}: ${one(email, index)} }`)}` }],
    ['inline fragments', { query: `mutation { ${times(20, (index) => `... on Mutation { c${index}: ${one(email, index)} }`)} }` }],
    ['directives', { query: `mutation ($yes: Boolean = true) { ${times(20, (index) => `d${index}: ${one(email, index).replace(') {', ') @include(if: $yes) {')}`)} }` }],
    ['operations', { query: times(50, (index) => `mutation M${index} { ${one(email, index)} }`), operationName: 'M7' }],
    ['batch', Array.from({ length: 1_000 }, (_, index) => ({ query: `mutation { ${one(email, index)} }` }))],
    ['mixed sign-ins', { query: `mutation { ${one(email, 1)} changePassword(input: { currentPassword: "x", newPassword: "y" }) { jwt } refreshSession(input: { refreshToken: "x" }) { jwt } }` }],
  ];
}

export const aliases: Attack = {
  name: 'aliases',
  async run({ api }) {
    const counter = new Counter('more than one tried', '5xx');
    let tried = 0;
    const triesOf = async (email: string): Promise<number> => {
      const { rows } = await api.db.owner.query<{ tries: number }>(`select coalesce(sum(tries), 0)::int as tries from app_private.sign_in_tries where kind = 'account' and name = $1`, [email]);
      return rows[0]!.tries;
    };
    for (const [index, [way, body]] of storms('x').entries()) {
      const email = `storm-${index}@example.com`;
      const text = JSON.stringify(body).replaceAll('\\"x\\"', `\\"${email}\\"`);
      const answer = await api.post(text);
      tried += 1;
      const count = await triesOf(email);
      if (count > 1) counter.add('more than one tried', `${way}: ${count}`);
      for (const fault of faultsOf(answer)) counter.add(fault, `${way}: ${answer.text.slice(0, 200)}`);
    }
    const email = 'storm-socket@example.com';
    const connection = openClient(api.url);
    const query = `mutation { ${times(20, (index) => `a${index}: ${one(email, index)}`)} }`;
    await watch(connection, query).next().catch(() => undefined);
    await connection.client.dispose();
    if (await triesOf(email) > 1) counter.add('more than one tried', 'WebSocket');
    return { attack: 'sign-ins by aliases and other ways', tried: tried + 1, bad: counter.counts, note: Object.values(counter.examples).join(' | ') };
  },
};
