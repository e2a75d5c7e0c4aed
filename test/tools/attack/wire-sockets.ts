/** WebSocket connections that do what graphql-ws never does, as the bytes that a client sends. */
import { randomBytes } from 'node:crypto';
import type { Piece } from './wire.ts';

const upgrade = (path: string, headers: string[] = []): Buffer => Buffer.from([`GET ${path} HTTP/1.1`, 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13', ...headers, '', ''].join('\r\n'), 'latin1');
const spoken = upgrade('/graphql', ['Sec-WebSocket-Protocol: graphql-transport-ws']);

/** A frame as a client must send it: masked, whole. */
function frame(content: string | Buffer, opcode = 1): Buffer {
  const bytes = Buffer.from(content);
  const mask = randomBytes(4);
  const length = bytes.length < 126 ? Buffer.from([0x80 | bytes.length]) : bytes.length < 65_536 ? Buffer.from([0x80 | 126, bytes.length >> 8, bytes.length & 255]) : Buffer.concat([Buffer.from([0x80 | 127]), bigEndian(bytes.length)]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, mask, bytes.map((byte, index) => byte ^ mask[index % 4]!)]);
}

function bigEndian(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

const init = frame('{"type":"connection_init"}');
const subscribe = (payload: unknown, id: unknown = 'a'): Buffer => frame(JSON.stringify({ type: 'subscribe', id, payload }));

const conversations: Record<string, Buffer[]> = {
  'no init': [subscribe({ query: '{ __typename }' })],
  'init twice': [init, init],
  'init of no object': [frame('{"type":"connection_init","payload":1}')], 'init of a list': [frame('{"type":"connection_init","payload":[]}')], 'init of null': [frame('{"type":"connection_init","payload":null}')],
  'hostile credentials': [frame('{"type":"connection_init","payload":{"authorization":{"x":1},"__proto__":{"authorization":"x"},"constructor":1}}')],
  'both credentials': [frame('{"type":"connection_init","payload":{"authorization":"Bearer x","X-API-Key":"y"}}')], 'a bad token': [frame('{"type":"connection_init","payload":{"Authorization":"Bearer \\u0000"}}')],
  'no JSON': [frame('x')], 'an empty frame': [frame('')], 'a binary frame': [frame(Buffer.from([0, 1, 2]), 2)], 'invalid UTF-8': [frame(Buffer.from([0xff, 0xfe, 0xfd]))], 'unknown type': [init, frame('{"type":"__proto__"}')],
  'type of no text': [frame('{"type":1}')], 'null': [frame('null')], 'a list': [frame('[]')], 'deep': [frame(`{"type":"connection_init","payload":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`)],
  'one id twice': [init, subscribe({ query: 'subscription { executionUpdated(id: "00000000-0000-4000-8000-000000000000") { execution { id } } }' }), subscribe({ query: '{ __typename }' })],
  'no id': [init, subscribe({ query: '{ __typename }' }, null)], 'hostile id': [init, subscribe({ query: '{ __typename }' }, '__proto__')], 'no payload': [init, frame('{"type":"subscribe","id":"a"}')], 'no query': [init, subscribe({})], 'query of no text': [init, subscribe({ query: ['x'] })], 'a batch': [init, subscribe([{ query: '{ __typename }' }])],
  'hostile name': [init, subscribe({ query: '{ __typename }', operationName: '__proto__', variables: { __proto__: 1 } })], 'broken query': [init, subscribe({ query: '{ a' })], 'document id': [init, subscribe({ documentId: '__proto__' })], 'extensions': [init, subscribe({ query: '{ __typename }', extensions: { persistedQuery: { sha256Hash: {} } } })],
  'completes nothing': [init, frame('{"type":"complete","id":"nothing"}')], 'next from a client': [init, frame('{"type":"next","id":"a","payload":{}}')], 'many pings': [init, ...Array.from({ length: 500 }, () => frame('{"type":"ping"}'))], 'control pings': Array.from({ length: 500 }, () => frame(randomBytes(100), 9)),
  'a large ping': [frame(randomBytes(200), 9)], 'not masked': [Buffer.from([0x81, 2, 0x7b, 0x7d])], 'reserved bits': [Buffer.from([0xf1, 0x80, 0, 0, 0, 0])], 'unknown opcode': [frame('x', 5)], 'a close of one byte': [frame('x', 8)], 'a close with a bad code': [frame(Buffer.from([0, 1]), 8)],
  'a giant to come': [Buffer.concat([Buffer.from([0x81, 0xff]), bigEndian(2 ** 40), randomBytes(100)])], 'too large': [init, frame(`{"type":"subscribe","id":"a","payload":{"query":"${'x'.repeat(3_300_000)}"}}`)], 'fragments without end': [init, ...Array.from({ length: 200 }, (_, index) => {
    const part = frame('x', index === 0 ? 1 : 0);
    part[0] = part[0]! & 0x7f;
    return part;
  })],
  'as many as there may be, and more': [init, ...Array.from({ length: 120 }, (_, index) => subscribe({ query: '{ __typename }' }, `id ${index}`))],
};

const upgrades: [string, Buffer][] = [
  ['no protocol', upgrade('/graphql')], ['the old protocol', upgrade('/graphql', ['Sec-WebSocket-Protocol: graphql-ws'])], ['a protocol of nobody', upgrade('/graphql', ['Sec-WebSocket-Protocol: __proto__, x'])], ['no protocol name', upgrade('/graphql', ['Sec-WebSocket-Protocol: ,,'])],
  ['a bad token', upgrade('/graphql', ['Sec-WebSocket-Protocol: graphql-transport-ws', 'Authorization: Bearer x'])], ['two origins', upgrade('/graphql', ['Origin: https://a.example', 'Origin: https://b.example'])], ['compression', upgrade('/graphql', ['Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99'])],
  ['version 8', Buffer.from(spoken.toString('latin1').replace('Version: 13', 'Version: 8'))], ['no key', Buffer.from(spoken.toString('latin1').replace(/Sec-WebSocket-Key.*\r\n/, ''))], ['by POST', Buffer.from(spoken.toString('latin1').replace('GET', 'POST'))], ['elsewhere', upgrade('/nothing')], ['two slashes', upgrade('//')], ['no URL', upgrade('http://[')],
];

export const socketPayloads = (): Piece[] => [
  ...upgrades.flatMap(([name, bytes]) => [{ name: `upgrade, ${name}`, bytes }, { name: `upgrade, ${name}, reset`, bytes, reset: 0 }]),
  ...Object.entries(conversations).flatMap(([name, frames]) => {
    const bytes = Buffer.concat([spoken, ...frames]);
    return [{ name: `socket, ${name}`, bytes }, { name: `socket, ${name}, reset`, bytes, reset: 1 }];
  }),
];
