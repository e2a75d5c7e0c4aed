/** Tokens and keys that are none: each must be refused, and none as a failure of ours. */
import { createHmac, randomBytes } from 'node:crypto';
import { type Attack, Counter, eachOf, faultsOf, randomOf } from './target.ts';

const base64 = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const now = (): number => Math.floor(Date.now() / 1_000);

function signed(header: object, claims: object, secret: string, hash = 'sha256'): string {
  const body = `${base64(header)}.${base64(claims)}`;
  return `${body}.${createHmac(hash, secret).update(body).digest('base64url')}`;
}

/** Forged from a good token and the secret that nobody should have: everything but the right combination. */
function forgeries(good: string, secret: string, random: () => number): string[] {
  const [header = '', claims = '', signature = ''] = good.split('.');
  const content = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
  const hs = { alg: 'HS256', typ: 'JWT' };
  const flipped = [...good];
  const place = Math.floor(random() * (header.length + claims.length));
  flipped[place] = flipped[place] === 'A' ? 'B' : 'A';
  return [
    ...['none', 'None', 'NONE', ''].flatMap((alg) => [`${base64({ alg, typ: 'JWT' })}.${claims}.`, `${base64({ alg, typ: 'JWT' })}.${claims}.${signature}`]),
    ...['HS384', 'HS512', 'RS256', 'ES256', 'EdDSA', 'PS256'].map((alg) => signed({ ...hs, alg }, content, secret, alg === 'HS384' ? 'sha384' : 'sha512')),
    signed(hs, content, `${secret}x`), signed(hs, content, ''), signed({ ...hs, kid: '../../dev/null' }, content, ''), signed({ ...hs, jwk: { kty: 'oct', k: base64('x') } }, content, 'x'),
    signed({ ...hs, crit: ['exp'] }, content, secret),
    signed(hs, { ...content, exp: now() - 10 }, secret), signed(hs, { ...content, exp: 'tomorrow' }, secret), signed(hs, { ...content, exp: undefined }, secret), signed(hs, { ...content, nbf: now() + 3_600 }, secret),
    ...[undefined, null, 1, '', 'x', '00000000-0000-4000-8000-000000000000', `' or true --`, {}, []].map((sid) => signed(hs, { ...content, sid }, secret)),
    signed({ ...hs, typ: 'refresh+jwt' }, { sid: content['sid'], gen: -1 }, secret),
    `${header}.${claims}`, `${header}..${signature}`, `.${claims}.${signature}`, '..', `${good}.${good}`, `${good}x`, good.slice(0, -1), flipped.join(''), good.replaceAll('.', ' '), `${header}.${claims}.${base64('\0')}`,
    `${base64('[]')}.${claims}.${signature}`, `${base64('null')}.${base64('null')}.`, `${base64('{"alg":{}}')}.${claims}.${signature}`, randomBytes(1 + Math.floor(random() * 200)).toString('base64url'),
    'x'.repeat(1 + Math.floor(random() * 6_000)),
  ];
}

function headersOf(token: string, random: () => number): Record<string, string>[] {
  const ways = [`Bearer ${token}`, `bearer ${token}`, `Bearer  ${token} `, token, `Basic ${token}`, `Bearer ${token}, Bearer ${token}`];
  return [{ authorization: `Bearer ${token}` }, { authorization: ways[Math.floor(random() * ways.length)]! }, { 'x-api-key': token.slice(0, 100) }, { 'x-api-key': `sk_live_${token.slice(0, 43)}` }];
}

export const tokens: Attack = {
  name: 'tokens',
  async run({ api }, scale) {
    const random = randomOf(7);
    const good = await api.token('john');
    const wanted = scale === 'long' ? 500 : 150;
    const all: Record<string, string>[] = [];
    while (all.length < wanted) {
      for (const token of forgeries(good, api.db.jwtSecret, random)) {
        if (token !== good) all.push(...headersOf(token, random));
      }
    }
    const counter = new Counter('accepted', '5xx', 'not 401');
    await eachOf(all.slice(0, wanted), 8, async (headers) => {
      const answer = await api.post('{"query":"{ currentUser { id } }"}', headers);
      if (answer.data?.currentUser || answer.status === 200) counter.add('accepted', JSON.stringify(headers));
      else if (answer.status !== 401) counter.add('not 401', `${answer.status} ${JSON.stringify(headers)}`);
      for (const fault of faultsOf(answer)) counter.add(fault, JSON.stringify(headers));
    });
    return { attack: 'malformed tokens and keys', tried: wanted, bad: counter.counts, note: Object.values(counter.examples).join(' | ') };
  },
};
