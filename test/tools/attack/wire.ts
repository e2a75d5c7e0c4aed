/**
 * What no client library sends: broken HTTP, addresses and bodies, upgrades that are none, clients that hang up in the middle. Each is answered with 4xx,
 * or by closing the connection, and the server goes on.
 */
import { gzipSync } from 'node:zlib';
import net from 'node:net';
import { type Attack, Counter, eachOf } from './target.ts';
import { socketPayloads } from './wire-sockets.ts';

export interface Piece {
  name: string;
  bytes: Buffer;
  /** Hang up with a reset so many ms after sending, and read nothing. */
  reset?: number;
}

const body = (text: string | Buffer, headers: string[] = [], more = ''): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(['POST /graphql HTTP/1.1', 'Host: x', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${bytes.length}`, ...headers, '', ''].join('\r\n'), 'latin1'), bytes, Buffer.from(more)]);
};
const get = (path: string, headers: string[] = [], method = 'GET'): Buffer => Buffer.from([`${method} ${path} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers, '', ''].join('\r\n'), 'latin1');

const paths = [
  '//', '///graphql', '*', 'http://[', 'http://:0/graphql', 'http://a b/', 'x', '/\\', '/%', '/%00', '/%ff', '/%c0%ae', '/graphql/', '/graphql/%zz', '/graphql?query=%', '/graphql?query[]=1', '/graphql?query={__typename}&variables=[', '/graphql?query={a', '/graphql?variables=1&query=%7B__typename%7D',
  '/graphql;x', '/GRAPHQL', '/artifacts', '/artifacts/', '/artifacts/%', '/artifacts/..%2f..%2fetc%2fpasswd', '/artifacts/%00', `/artifacts/${'x'.repeat(5_000)}`, '/artifacts/00000000-0000-4000-8000-000000000000', '/schemas/..%2f..%2fpackage.json', '/schemas/__proto__', '/schemas/constructor', '/schemas/%2e%2e',
  '/ruru-static/..%2f..%2fpackage.json', '/ruru-static/%2e%2e/%2e%2e/package.json', '/ruru-static/../../package.json', '/ruru-static/%00', '/ruru-static/%', '/ruru-static/x', '/ruru-static/', '/join?x=%', '/healthz?%', '/readyz/..', `/${'a'.repeat(9_000)}`, '/metrics', '/metrics?%', '/__proto__', '/constructor',
];
const addresses = paths.flatMap((path) => [
  { name: `GET ${path}`, bytes: get(path) }, { name: `OPTIONS ${path}`, bytes: get(path, ['Origin: https://evil.example', 'Access-Control-Request-Method: POST'], 'OPTIONS') },
  { name: `upgrade ${path}`, bytes: get(path, ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: graphql-transport-ws']) },
]);

const methods = ['HEAD', 'TRACE', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'CONNECT', 'QUERY', 'M-SEARCH', 'BREW'].flatMap((method) => ['/graphql', '/', '/graphiql', '*'].map((path) => ({ name: `${method} ${path}`, bytes: get(path, [], method) })));

const ask = '{"query":"{ currentUser { id } }"}';
const headers = [
  'X-Forwarded-For: ', 'X-Forwarded-For: not an address', 'X-Forwarded-For: 1.2.3.4, ::1, <script>', `X-Forwarded-For: ${'1.1.1.1,'.repeat(1_000)}`, 'X-Forwarded-Proto: javascript', 'X-Forwarded-Host: evil.example', 'Forwarded: for="_x"', 'Host: evil.example', 'Host: ', 'Origin: null', 'Origin: \xff',
  'X-Request-Id: \xff\xfe', `X-Request-Id: ${'x'.repeat(5_000)}`, 'X-Request-Id: a b', 'User-Agent: \x01\x02', `User-Agent: ${'\xe9'.repeat(4_000)}`, 'Cookie: session=1; __proto__=x', 'Authorization: ', 'Authorization: Bearer', 'Authorization: Bearer \xff', 'Authorization: Digest username="x"', `Authorization: Bearer ${'.'.repeat(4_000)}`,
  'X-API-Key: ', 'X-API-Key: sk_live_\xff', 'Authorization: Bearer a.b.c\r\nX-API-Key: sk_live_x', 'Authorization: Bearer a\r\nAuthorization: Bearer b', 'X-API-Key: a\r\nX-API-Key: b', 'Accept: text/html', 'Accept: \xff', `Accept: ${'a/b,'.repeat(500)}`, 'Accept-Encoding: gzip;q=x', 'Content-Encoding: gzip', 'Content-Encoding: br', 'Content-Encoding: deflate', 'Content-Encoding: x',
  'Content-Encoding: gzip, gzip', 'Content-Type: text/plain', 'Content-Type: application/json; charset=utf-16', 'Content-Type: application/json; charset=utf-7', 'Content-Type: application/json; charset=x', 'Content-Type: application/json; charset="', 'Content-Type: multipart/form-data; boundary=x', 'Content-Type: application/graphql', 'Content-Type: application/json\r\nContent-Type: text/plain',
  'Content-Type: application/x-www-form-urlencoded', 'Expect: 100-continue', 'Expect: x', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: x', 'Content-Length: 5', 'Content-Length: -1', 'Content-Length: 99999999999999999999', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c', 'Upgrade: x\r\nConnection: Upgrade', 'Sec-Fetch-Site: cross-site', ' folded: x', 'a\x00b: c', 'no colon', `X-Large: ${'x'.repeat(20_000)}`,
  Array.from({ length: 3_000 }, (_, index) => `X-${index}: ${index}`).join('\r\n'),
];
const headered = headers.map((header) => ({ name: header.slice(0, 60), bytes: body(ask, [header]) }));

const nested = (levels: number, [open, close]: [string, string] = ['[', ']']): string => open.repeat(levels) + close.repeat(levels);
const bodies: (string | Buffer)[] = [
  '', ' ', '{', '[]', '[[]]', 'null', 'true', '1', '"x"', '\ufeff{"query":"{__typename}"}', Buffer.from([0xff, 0xfe, 0x7b]), Buffer.from('{"query":"{ a\xff }"}', 'latin1'), '{"query":"\\u0000"}', '{"query":"\\ud800"}', '{"query":"{ __typename }","query":1}', '{"query":1,"query":"{ __typename }"}',
  nested(100_000), nested(100_000, ['{"a":', '']), `{"query":"{__typename}","variables":${nested(50_000)}}`, `{"query":"query($a:JSON!){validateWorkflow(spec:$a){valid}}","variables":{"a":${nested(2_000, ['{"nodes":', '1}'.slice(1)])}}}`,
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '\\u0000', '$'].flatMap((name) => [
    `{"query":"query a { __typename } query b { __typename }","operationName":"${name}"}`, `{"documentId":"${name}"}`, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"${name}"}}}`, `{"query":"query ($a: JSON) { validateWorkflow(spec: {}) { valid } }","variables":{"${name}":{"x":1}}}`,
    `{"${name}":{"query":"{ __typename }"}}`, `{"query":"{ currentUser { id } }","${name}":{"identity":{"kind":"session"}}}`,
  ]),
  '{"query":["{ __typename }"]}', '{"query":{"x":1}}', '{"query":"{ __typename }","variables":"{}"}', '{"query":"{ __typename }","variables":[1]}', '{"query":"{ __typename }","operationName":1}', '{"query":"{ __typename }","extensions":[]}', '{"query":"{ __typename }","extensions":{"persistedQuery":1}}', '{"documentId":1}', '{"documentId":["x"]}', '{"id":"x"}',
  '{"query":"{ workflows(first: 1e999) { totalCount } }"}', '{"query":"query($a:Int){workflows(first:$a){totalCount}}","variables":{"a":1e999}}', '{"query":"{ workflow(id: \\"\\u0000\\") { id } }"}', '{"query":"{ node(globalId: \\"\\") { globalId } }"}', '{"query":"{ node(globalId: \\"W10=\\") { globalId } }"}', '{"query":"{ node(globalId: \\"WyJfX3Byb3RvX18iLDFd\\") { globalId } }"}', '{"query":"{ workflows(after: \\"W10=\\") { totalCount nodes { id } } }"}', '{"query":"{ workflows(after: \\"__proto__\\") { nodes { id } } }"}',
  '{"query":"subscription { executionUpdated(id: \\"00000000-0000-4000-8000-000000000000\\") { execution { id } } }"}', '{"query":"{ __typename @defer }"}', '{"query":"{ ... @defer { __typename } }"}', '{"query":"{ workflows { nodes @stream { id } } }"}', '{"query":"mutation { authenticate(input: { email: \\"john@example.com\\\\u0000\\", password: \\"\\\\u0000\\" }) { jwt } }"}', '{"query":"mutation { authenticate(input: { email: \\"\\", password: \\"\\" }) { jwt } }"}',
  '{"query":"mutation { refreshSession(input: { refreshToken: \\"a.b.c\\" }) { jwt } }"}', '{"query":"mutation { useAccessLink(input: { token: \\"\\\\u0000\\", password: \\"x\\" }) { jwt } }"}', '{"query":"mutation { logout { ok } }"}', '{"query":"mutation { logoutEverywhere { ok } }"}', '{"query":"mutation { changePassword(input: { currentPassword: \\"\\", newPassword: \\"\\" }) { jwt } }"}',
  `{"query":"{ __typename }","x":"${'x'.repeat(3_200_000)}"}`,
];
const bodied = bodies.map((text) => ({ name: String(text).slice(0, 80), bytes: body(text) }));
const bomb = gzipSync(Buffer.alloc(200_000_000, ' '));
const compressed: Piece[] = [bomb, gzipSync(ask).subarray(0, 20), Buffer.from('not gzip'), gzipSync(gzipSync(ask))].map((bytes, index) => ({ name: `gzip ${index}`, bytes: body(bytes, ['Content-Encoding: gzip']) }));

const smuggled: Piece[] = [
  { name: 'two lengths', bytes: body(ask, ['Content-Length: 0'], 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n') },
  { name: 'length and chunks', bytes: body('0\r\n\r\n', ['Transfer-Encoding: chunked'], 'GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n') },
  { name: 'chunks of no size', bytes: Buffer.from('POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n') },
  { name: 'a chunk of all sizes', bytes: Buffer.from('POST /graphql HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx') },
  { name: 'bare line feeds', bytes: Buffer.from('POST /graphql HTTP/1.1\nHost: x\nContent-Length: 3\n\n{}x') },
  { name: 'no host', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n') }, { name: 'two hosts', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n') }, { name: 'HTTP/0.9', bytes: Buffer.from('GET /\r\n\r\n') }, { name: 'HTTP/1.0', bytes: Buffer.from('GET /graphql HTTP/1.0\r\n\r\n') },
  { name: 'HTTP/2', bytes: Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') }, { name: 'TLS', bytes: Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 3]) }, { name: 'NULs', bytes: Buffer.alloc(100) }, { name: 'half a request', bytes: Buffer.from('POST /graphql HTT') },
  { name: 'a short body', bytes: body(ask, [], '').subarray(0, -5) }, { name: 'pipelined', bytes: Buffer.from('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200)) },
];

export const wirePieces = (): Piece[] => [...addresses, ...methods, ...headered, ...bodied, ...compressed, ...smuggled, ...socketPayloads()];

interface Outcome {
  status: number | null;
  text: string;
}

/** What came within the time, or until the connection was closed. */
function exchange(port: number, { bytes, reset }: Piece, patienceMs: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? Number.NaN) || null, text });
    };
    socket.on('data', (chunk) => { text += chunk.toString('latin1'); });
    socket.on('error', done);
    socket.on('close', done);
    socket.on('connect', () => {
      socket.write(bytes);
      timer = setTimeout(() => (reset === undefined ? done() : socket.resetAndDestroy()), reset ?? patienceMs);
    });
  });
}

const told = /node_modules|\bat [\w.]+ \(|\.ts:\d+|INTERNAL|app_private|"jwt":|"currentUser":\{/;

export const wire: Attack = {
  name: 'wire',
  async run({ api }, scale) {
    const counter = new Counter('crashes', '5xx', 'told', 'not alive');
    const port = Number(new URL(api.url).port);
    const pieces = wirePieces();
    const crashed = (error: Error): void => counter.add('crashes', error.stack ?? String(error));
    process.on('uncaughtException', crashed);
    try {
      // Cut off in every place, too: whoever hangs up in the middle is no fault of ours.
      const cut = pieces.flatMap((piece, index) => (scale === 'long' ? [0, 1, 2, 3] : index % 20 === 0 ? [0] : []).map((turn) => {
        const part = 1 + (index + turn * 2) % 7;
        return { ...piece, name: `${piece.name}, reset`, bytes: piece.bytes.subarray(0, Math.ceil((piece.bytes.length * part) / 7)), reset: turn };
      }));
      const all = [...pieces, ...cut];
      await eachOf(all, 16, async (piece) => {
        const { status, text } = await exchange(port, piece, scale === 'long' ? 2_000 : 700);
        // Node itself answers 505 to another version of HTTP, and 501 to encodings of a transfer that it does not know.
        if (status !== null && status >= 500 && status !== 501 && status !== 505) counter.add('5xx', `${piece.name} => ${text.slice(0, 600)}`);
        if (told.test(text)) counter.add('told', `${piece.name} => ${text.slice(0, 600)}`);
      });
      if ((await fetch(`${api.url}/readyz`)).status !== 200) counter.add('not alive', 'readyz');
      return { attack: 'broken HTTP, bodies and upgrades', tried: all.length, bad: counter.counts, note: Object.values(counter.examples).join(' | ') };
    } finally {
      process.off('uncaughtException', crashed);
    }
  },
};
