/** Three hundred ways to write an address that is nobody's business, and names that change while one looks: nothing is reached. */
import dns from 'node:dns';
import http from 'node:http';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import { createGuardedFetch } from '../../src/sources/guard/fetch.ts';
import { RequestHeaders } from '../../src/sources/guard/headers.ts';
import { GuardedSocket } from '../../src/sources/guard/socket.ts';
import { isFull, report } from '../support/attacks.ts';

/** How often a name is asked for whose answers change. */
const rebindings = Number(process.env['SOURCE_REBINDINGS'] ?? (isFull ? 1_000 : 100));

let port: number;
let reached = 0;
const server = http.createServer((_request, response) => response.end('reached'));
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server.on('connection', () => {
    reached += 1;
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '::', resolve);
  });
  ({ port } = server.address() as AddressInfo);
});
beforeEach(() => {
  reached = 0;
});
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));
afterAll(() => new Promise((resolve) => {
  server.close(resolve);
}));

/** Both ways to the outside over HTTP. */
function guarded(lookup?: typeof dns.lookup): ((url: string) => Promise<unknown>)[] {
  const { fetch, ask, close } = createGuardedFetch({ allowHosts: [], maxBytes: 1_000, ...(lookup === undefined ? {} : { lookup }) });
  closing.push(close);
  return [fetch, (url) => ask(url, { method: 'GET', headers: new RequestHeaders(), body: null, signal: new AbortController().signal })];
}

/** Each octet in decimal, octal and hexadecimal, whole and short forms, and with odd dots and digits. */
function spellings(address: string): string[] {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number];
  const whole = ((a * 256 + b) * 256 + c) * 256 + d;
  const hex = (number: number): string => `0x${number.toString(16)}`;
  const octal = (number: number): string => `0${number.toString(8)}`;
  const sixes = [(a * 256 + b).toString(16), (c * 256 + d).toString(16)].join(':');
  return [
    address, `${address}.`, String(whole), hex(whole), octal(whole), [a, b, c * 256 + d].join('.'), [a, (b * 256 + c) * 256 + d].join('.'),
    [a, b, c, d].map(hex).join('.'), [a, b, c, d].map(octal).join('.'), `${hex(a)}.${octal(b)}.${c}.${hex(d)}`, `${hex(a)}.${(b * 256 + c) * 256 + d}`,
    address.replaceAll('.', '。'), address.replaceAll('.', '．'), [...address].map((digit) => (/\d/.test(digit) ? String.fromCodePoint(0xff10 + Number(digit)) : digit)).join(''),
    [...address].map((digit) => `%${digit.charCodeAt(0).toString(16)}`).join(''),
    `[::ffff:${address}]`, `[::ffff:${sixes}]`, `[::${address}]`, `[64:ff9b::${address}]`, `[64:ff9b:1::${sixes}]`, `[2002:${sixes}::]`, `[0:0:0:0:0:ffff:${sixes}]`, `[::ffff:0:${address}]`,
  ];
}

const closedAddresses = ['127.0.0.1', '127.8.8.8', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.169.254', '100.100.100.200', '192.0.0.192', '198.18.0.1', '224.0.0.1', '255.255.255.255'];
const hosts = [
  ...closedAddresses.flatMap(spellings),
  'localhost', 'LOCALHOST', 'localhost.', 'ⓛocalhost', '[::1]', '[::]', '[0000::1]', '[0:0:0:0:0:0:0:1]', '[::1%25lo]', '[fe80::1]', '[fc00::1]', '[fd00:ec2::254]', '[ff02::1]', '[2001::1]', '[2001:db8::1]', '[100::1]', '[5f00::1]', '[3fff::1]',
];
const urls = [
  ...hosts.map((host) => `http://${host}:PORT/`),
  ...['http://user@127.0.0.1:PORT/', 'http://example.com@127.0.0.1:PORT/', 'http://127.0.0.1:PORT\\@example.com/', 'http:127.0.0.1:PORT/', 'http:/127.0.0.1:PORT/', 'http:\\\\127.0.0.1:PORT/', 'HTTP://127.0.0.1:PORT/', ' http://127.0.0.1:PORT/ ',
    'ht\ttp://127.0.0.1:PORT/', 'http://127.0.0.1\n:PORT/', 'https://127.0.0.1:PORT/', 'file:///etc/passwd', 'file://127.0.0.1/etc/passwd', 'ftp://127.0.0.1:PORT/', 'gopher://127.0.0.1:PORT/_x', 'dict://127.0.0.1:PORT/', 'ws://127.0.0.1:PORT/', 'unix:/var/run/docker.sock',
    'http+unix://%2Fvar%2Frun%2Fdocker.sock/', 'jar:http://127.0.0.1:PORT!/', 'data:text/plain,x', 'blob:http://127.0.0.1:PORT/x', 'javascript:1', 'about:blank', '//127.0.0.1:PORT/', '127.0.0.1:PORT', ''],
];

test(`${urls.length} hostile URLs, at least 300: none is reached`, async () => {
  expect(urls.length).toBeGreaterThanOrEqual(300);
  const outcomes = await Promise.all(guarded().flatMap((call) => urls.map(async (url) => {
    const text = url.replace('PORT', String(port));
    return call(text).then(() => `${text} was reached`, (error: { code?: string }) => (error.code === 'SOURCE_NOT_ALLOWED' ? null : `${text}: ${String(error)}`));
  })));
  // What is no address in any reading may also simply not resolve.
  const hits = outcomes.filter((outcome) => outcome !== null && !/ENOTFOUND|EAI_AGAIN|fetch failed/.test(outcome));
  report('hostile URLs', outcomes.length, hits);
  expect(hits).toEqual([]);
  expect(reached).toBe(0);
});

/** A name server that answers something else each time it is asked: public, private, both. */
function changing(answers: string[][]): { lookup: typeof dns.lookup; asked(): number } {
  let asked = 0;
  const lookup = ((_name: string, _options: object, callback: (error: Error | null, found: dns.LookupAddress[]) => void) => {
    const answer = answers[asked % answers.length]!;
    asked += 1;
    callback(null, answer.map((address) => ({ address, family: net.isIP(address) })));
  }) as unknown as typeof dns.lookup;
  return { lookup, asked: () => asked };
}

test(`${rebindings} names that change between looks: one look a connection, and none is reached`, async () => {
  const { lookup, asked } = changing([['127.0.0.1'], ['192.0.2.1', '127.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], ['10.0.0.1', '127.0.0.1'], ['2606:4700::1', '::1']]);
  const calls = guarded(lookup);
  for (let each = 0; each < rebindings; each += 1) {
    await expect(calls[each % 2]!(`http://r${each}.example:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  }
  expect(asked()).toBe(rebindings);
  report('names that change between looks, HTTP', rebindings, Array.from({ length: reached }));
  expect(reached).toBe(0);
});

test('the address that was looked at is the one that is gone to: a second answer would not be asked for', async () => {
  const { lookup, asked } = changing([['93.184.215.14'], ['127.0.0.1']]);
  const abort = new AbortController();
  const { fetch, close } = createGuardedFetch({ allowHosts: [], maxBytes: 1_000, lookup });
  closing.push(close);
  const call = fetch(`http://once.example:${port}/`, { signal: abort.signal });
  setTimeout(() => abort.abort(new Error('looked long enough')), 150);
  await expect(call).rejects.toBeDefined();
  expect(asked()).toBe(1);
  expect(reached).toBe(0);
});

test('sockets of databases go by the same rules', async () => {
  const refusal = (host: string, lookup?: typeof dns.lookup): Promise<unknown> => new Promise((resolve) => {
    const socket = new GuardedSocket({ allowHosts: [], ...(lookup === undefined ? {} : { lookup }) });
    socket.on('error', resolve);
    socket.on('connect', () => resolve('connected'));
    socket.connect(port, host);
  });
  for (const host of ['127.0.0.1', '::1', '[::1]', 'localhost', '2130706433', '0x7f.1', '127.1', '0', '::ffff:127.0.0.1', '10.0.0.1', '169.254.169.254']) {
    expect({ host, error: await refusal(host) }).toMatchObject({ error: { code: 'SOURCE_NOT_ALLOWED' } });
  }
  const { lookup } = changing([['127.0.0.1'], ['192.0.2.1', '::1']]);
  for (let each = 0; each < rebindings; each += 1) expect(await refusal(`r${each}.example`, lookup)).toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  report('names that change between looks, databases', rebindings, Array.from({ length: reached }));
  expect(reached).toBe(0);
});
