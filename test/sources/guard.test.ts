/** What the guard lets out, and what it does not. */
import type dns from 'node:dns';
import { getEventListeners } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Dispatcher } from 'undici';
import { isPublicAddress } from '../../src/sources/guard/addresses.ts';
import { askOnce } from '../../src/sources/guard/ask.ts';
import { createGuardedFetch, type GuardOptions } from '../../src/sources/guard/fetch.ts';
import { RequestHeaders } from '../../src/sources/guard/headers.ts';

let server: http.Server;
let port: number;
let answer: http.RequestListener;
const seen: { url: string; headers: http.IncomingHttpHeaders; method: string }[] = [];
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  server = http.createServer((request, response) => {
    seen.push({ url: request.url!, headers: request.headers, method: request.method! });
    answer(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  ({ port } = server.address() as AddressInfo);
});
beforeEach(() => {
  seen.length = 0;
  answer = (_request, response) => response.end('fine');
});
afterEach(() => Promise.all(closing.splice(0).map((close) => close())));
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** By which of the two ways of the guard. */
let way: 'fetch' | 'ask' = 'fetch';

function guard(options: Partial<GuardOptions> = {}): (url: string, init?: RequestInit) => Promise<Response> {
  const guarded = createGuardedFetch({ allowHosts: [], maxBytes: 1_000, ...options });
  closing.push(guarded.close);
  return way === 'fetch' ? guarded.fetch : async (url, init = {}) => {
    const { method = 'GET', headers, body = null, signal } = init;
    const { status, text } = await guarded.ask(url, { method, headers: new RequestHeaders(new Headers(headers)), body: body as string | null, signal: signal ?? new AbortController().signal });
    return new Response(text, { status });
  };
}

/** Answers every name with these addresses. */
function resolvingTo(...addresses: string[]): typeof dns.lookup {
  return ((_name: string, _options: object, callback: (error: Error | null, found: dns.LookupAddress[]) => void) => {
    callback(null, addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
  }) as unknown as typeof dns.lookup;
}

test.each(['127.0.0.1', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255', '192.0.2.1',
  '::1', '::', 'fe80::1', 'fc00::1', 'fd12:3456::1', 'ff02::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001::1', '2001:db8::1', 'nonsense', ''])('%s is closed', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

test.each(['1.1.1.1', '8.8.8.8', '172.15.0.1', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450:4001::1'])('%s is public', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

describe.each(['fetch', 'ask'] as const)('by %s', (name) => {
  beforeEach(() => {
    way = name;
  });

  test.each(['http://127.0.0.1:PORT/', 'http://2130706433:PORT/', 'http://0x7f.1:PORT/', 'http://0177.0.0.1:PORT/', 'http://[::1]:PORT/', 'http://[::ffff:127.0.0.1]:PORT/',
    'http://localhost:PORT/', 'http://127.1:PORT/', 'http://0:PORT/', 'http://169.254.169.254/latest/meta-data', 'http://[fd00:ec2::254]/'])('%s is refused, and nothing arrives', async (url) => {
    await expect(guard()(url.replace('PORT', String(port)))).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
    expect(seen).toEqual([]);
  });

  test.each(['file:///etc/passwd', 'ftp://example.com/', 'gopher://example.com/', 'data:text/plain,x', 'not a url'])('%s is refused', async (url) => {
    await expect(guard()(url)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });

  test('a user or password in the URL is refused', async () => {
    await expect(guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://user:secret@127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });

  test('a name is refused as soon as one of its addresses is closed', async () => {
    const mixed = guard({ lookup: resolvingTo('1.1.1.1', '127.0.0.1') });
    await expect(mixed(`http://rebinding.example:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED', message: expect.stringContaining('rebinding.example') as string });
    expect(seen).toEqual([]);
  });

  test('a listed host may be reached, on the listed port only', async () => {
    const listed = guard({ allowHosts: [`127.0.0.1:${port}`] });
    expect(await (await listed(`http://127.0.0.1:${port}/`)).text()).toBe('fine');
    await expect(listed(`http://127.0.0.1:${port + 1}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });

  test('a redirect is checked like a first request', async () => {
    answer = (request, response) => response.writeHead(302, { location: request.url === '/' ? 'http://169.254.169.254/' : '/' }).end();
    await expect(guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_NOT_ALLOWED' });
  });

  test('redirects are followed, and not for ever', async () => {
    const allowed = guard({ allowHosts: [`127.0.0.1:${port}`] });
    answer = (request, response) => (request.url === '/end' ? response.end('there') : response.writeHead(307, { location: '/end' }).end());
    expect(await (await allowed(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'x' })).text()).toBe('there');
    expect(seen.map(({ method }) => method)).toEqual(['POST', 'POST']);
    answer = (_request, response) => response.writeHead(302, { location: '/again' }).end();
    await expect(allowed(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
  });

  test.each([[301, 'POST', 'GET'], [302, 'POST', 'GET'], [302, 'PUT', 'PUT'], [303, 'PUT', 'GET'], [303, 'HEAD', 'HEAD'], [308, 'POST', 'POST']])('after %i, %s goes on as %s', async (status, method, next) => {
    answer = (request, response) => (request.url === '/end' ? response.end() : response.writeHead(status, { location: '/end' }).end());
    await guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`, { method, ...(method === 'HEAD' ? {} : { body: 'x' }) });
    expect(seen.map((request) => request.method)).toEqual([method, next]);
  });

  test('what identifies us does not follow a redirect to another origin', async () => {
    answer = (request, response) => (request.url === '/end' ? response.end() : response.writeHead(307, { location: `http://localhost:${port}/end` }).end());
    const allowed = guard({ allowHosts: [`127.0.0.1:${port}`, `localhost:${port}`] });
    await allowed(`http://127.0.0.1:${port}/`, { headers: { authorization: 'Bearer secret', 'x-api-key': 'secret', accept: 'text/plain' } });
    expect(seen[0]!.headers).toMatchObject({ authorization: 'Bearer secret' });
    expect(seen[1]!.headers['authorization']).toBeUndefined();
    expect(seen[1]!.headers['x-api-key']).toBeUndefined();
    expect(seen[1]!.headers['accept']).toBe('text/plain');
  });

  test('an answer is cut at the cap, compressed ones after they are unpacked', async () => {
    const allowed = guard({ allowHosts: [`127.0.0.1:${port}`] });
    answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000)));
    await expect(allowed(`http://127.0.0.1:${port}/`).then((response) => response.text())).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
  });

  test('what is packed is unpacked, and a length that is announced does not have to be true', async () => {
    const allowed = guard({ allowHosts: [`127.0.0.1:${port}`] });
    const packings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
    for (const [coding, pack] of Object.entries(packings)) {
      answer = (_request, response) => response.writeHead(200, { 'content-encoding': coding }).end(pack('some text'));
      expect(await (await allowed(`http://127.0.0.1:${port}/`)).text()).toBe('some text');
    }
    answer = (_request, response) => response.writeHead(200).end(Buffer.alloc(2_000));
    await expect(allowed(`http://127.0.0.1:${port}/`).then((response) => response.text())).rejects.toMatchObject({ code: 'LIMIT_OUTPUT' });
    answer = (_request, response) => response.writeHead(200, { 'content-length': '500' }).write('only the beginning', () => response.destroy());
    await expect(allowed(`http://127.0.0.1:${port}/`).then((response) => response.text())).rejects.toBeDefined();
  });

  test('proxy variables are not read', async () => {
    const before = process.env['http_proxy'];
    process.env['http_proxy'] = 'http://127.0.0.1:1';
    try {
      expect(await (await guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`)).text()).toBe('fine');
    } finally {
      if (before === undefined) delete process.env['http_proxy'];
      else process.env['http_proxy'] = before;
    }
  });

  test('an aborted call ends', async () => {
    const abort = new AbortController();
    answer = () => abort.abort(new Error('enough'));
    await expect(guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`, { signal: abort.signal })).rejects.toThrow('enough');
  });

  test('a call that is aborted in the middle of its answer ends, packed or not', async () => {
    for (const packed of [{}, { 'content-encoding': 'gzip' }]) {
      const abort = new AbortController();
      answer = (_request, response) => {
        response.writeHead(200, packed).write(gzipSync('the beginning'), () => setImmediate(() => abort.abort(new Error('enough'))));
      };
      await expect(guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`, { signal: abort.signal }).then((response) => response.text())).rejects.toThrow('enough');
    }
  });

  test('the body of a redirect is not waited for', async () => {
    answer = (request, response) => (request.url === '/end' ? response.end('there') : response.writeHead(302, { location: '/end' }).write(Buffer.alloc(1_000_000)));
    expect(await (await guard({ allowHosts: [`127.0.0.1:${port}`] })(`http://127.0.0.1:${port}/`)).text()).toBe('there');
  });
});

describe('what a source sends without an end, once its answer has been read', () => {
  const asking = (): () => Promise<string> => {
    const { ask, close } = createGuardedFetch({ allowHosts: [`127.0.0.1:${port}`], maxBytes: 1_000 });
    closing.push(close);
    return async () => (await ask(`http://127.0.0.1:${port}/`, { method: 'GET', headers: new RequestHeaders(), body: null, signal: new AbortController().signal })).text;
  };

  test.each([['gzip', gzipSync, 0], ['deflate', deflateSync, 1], ['br', brotliCompressSync, 1]] as const)('behind %s closes its connection', async (coding, pack, filling) => {
    let sending: NodeJS.Timeout | undefined;
    const closed = new Promise((resolve) => {
      answer = (request, response) => {
        request.socket.once('close', () => resolve('closed'));
        const rest = Buffer.alloc(1_000, filling);
        response.writeHead(200, { 'content-encoding': coding }).write(Buffer.concat([pack('a short answer'), rest]));
        sending = setInterval(() => response.write(rest), 2);
      };
    });
    try {
      expect(await asking()()).toBe('a short answer');
      expect(await Promise.race([closed, sleep(2_000, 'open', { ref: false })])).toBe('closed');
    } finally {
      clearInterval(sending);
      server.closeAllConnections();
    }
  });

  test('an answer that has an end leaves its connection for the next, whatever fills it up', async () => {
    const sockets = new Set<unknown>();
    answer = (request, response) => {
      sockets.add(request.socket);
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.concat([gzipSync('a short answer'), Buffer.alloc(100)]));
    };
    const ask = asking();
    for (let turn = 0; turn < 3; turn += 1) expect(await ask()).toBe('a short answer');
    expect(sockets.size).toBe(1);
  });
});

test('a request that cannot be made leaves nothing on its signal', async () => {
  const { signal } = new AbortController();
  const unable = { dispatch: () => { throw new Error('cannot'); } } as unknown as Dispatcher;
  await expect(askOnce(new URL('http://127.0.0.1/'), { method: 'GET', headers: new RequestHeaders(), body: null, signal }, unable, 1_000)).rejects.toThrow('cannot');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test.each([['x-own', 'two\r\nlines'], ['x-own', 'nul\0'], ['x-own', 'far \u{1f600}'], ['two words', 'x'], ['', 'x'], ['x:y', 'x']])('the header %j with %j is refused', (name, value) => {
  expect(() => new RequestHeaders().set(name, value)).toThrow(TypeError);
});

test('headers are sent without outer space, under names in lower case, over what stands for those that are missing', () => {
  const headers = new RequestHeaders([['accept', 'text/plain']]);
  headers.set('X-Own', ' a value\n');
  expect(headers.flat({ accept: '*/*', 'user-agent': 'us' })).toEqual(['user-agent', 'us', 'accept', 'text/plain', 'x-own', 'a value']);
});
