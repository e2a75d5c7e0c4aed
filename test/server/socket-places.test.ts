/** How many WebSockets one address may hold open: counted from the upgrade on, given back when they close. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Crowd, Place } from '../../src/server/socket-places.ts';
import { useApi } from '../support/api.ts';

const api = useApi();

test('a crowd has so many places for a name, and one that is left is there again', () => {
  const crowd = new Crowd(2);
  const [first, , third] = [crowd.take('a'), crowd.take('a'), crowd.take('a')];
  expect([third, crowd.take('b')]).toEqual([null, expect.any(Function)]);
  first!();
  expect([crowd.take('a'), crowd.take('a')]).toEqual([expect.any(Function), null]);
});

test('who moves to another crowd leaves the first, unless there is no place', () => {
  const [one, other] = [new Crowd(1), new Crowd(1)];
  const [mine, yours] = [new Place(), new Place()];
  expect([mine.moveTo(one, 'x'), yours.moveTo(one, 'x'), mine.moveTo(other, 'x'), yours.moveTo(one, 'x'), yours.moveTo(other, 'x'), yours.moveTo(one, 'x')])
    .toEqual([true, false, true, true, false, false]);
  mine.leave();
  expect([yours.moveTo(other, 'x'), mine.moveTo(one, 'x'), new Place().moveTo(one, 'x')]).toEqual([true, true, true]);
});

const opened = async (): Promise<WebSocket | number> => {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const refused = once(socket, 'unexpected-response').then(([, response]) => (response as { statusCode: number }).statusCode);
  refused.catch(() => undefined);
  const isOpen = once(socket, 'open').then(() => {
    // Who says nothing at all is sent away after a while.
    socket.send('{"type":"connection_init"}');
    return socket;
  });
  return await Promise.race([isOpen, refused]);
};

test('the hundred-and-first connection that nobody has signed in on is refused, until one of them closes', async () => {
  const sockets: WebSocket[] = [];
  let last: WebSocket | number = 0;
  while (typeof (last = await opened()) !== 'number') sockets.push(last);
  expect([sockets.length, last]).toEqual([100, 429]);
  const first = sockets.shift()!;
  first.close();
  await once(first, 'close');
  let again: WebSocket | number = 429;
  while (again === 429) again = await opened();
  expect(again).toBeInstanceOf(WebSocket);
  for (const socket of [...sockets, again as WebSocket]) socket.terminate();
});
