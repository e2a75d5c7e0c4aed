/**
 * graphql-ws on sockets of ws. What goes wrong on one is told to the log, never to the console, and clients learn no more of it than that it went wrong:
 * the adaptor that graphql-ws brings sends the message of the error along.
 */
import { handleProtocols, makeServer, type ServerOptions } from 'graphql-ws';
import type { IncomingMessage } from 'node:http';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Log } from './errors.ts';

/** What a connection is known by from the start. */
export interface SocketExtra {
  socket: WebSocket;
  request: IncomingMessage;
}

const badRequest = 4400;
const internalError = 4500;
const goingAway = 1001;
/** A client that does not answer a ping within the time of one is gone. */
const pingMs = 12_000;

/** Speaks the protocol with everybody who connects. The result ends it: every client is told that the server goes away. */
export function speakGraphql<Extra>(options: ServerOptions<Record<string, unknown>, Extra & SocketExtra>, sockets: WebSocketServer, log: Log): () => void {
  const server = makeServer<Record<string, unknown>, Extra & SocketExtra>(options);
  sockets.options.handleProtocols = handleProtocols;
  sockets.on('connection', (socket, request) => {
    // ws has closed the socket for it, or does so: a client that breaks the protocol is no fault of ours.
    socket.on('error', (error) => log.debug({ err: error }, 'A WebSocket failed'));
    const stopPinging = keepAlive(socket);
    const closed = server.opened({
      protocol: socket.protocol,
      send: (text) => send(socket, text),
      close: (code, reason) => socket.close(code, reason),
      onMessage(receive) {
        socket.on('message', (message) => {
          receive(String(message)).catch((error: unknown) => {
            if (isOfClient(error)) {
              socket.close(badRequest, 'BAD_REQUEST: Clients do not send messages of this type.');
              return;
            }
            log.error({ err: error }, 'A message over WebSocket could not be handled');
            socket.close(internalError, 'INTERNAL');
          });
        });
      },
    }, { socket, request } as Extra & SocketExtra);
    socket.once('close', (code, reason) => {
      stopPinging();
      closed(code, String(reason)).catch((error: unknown) => log.error({ err: error }, 'A WebSocket could not be put away'));
    });
  });
  return () => {
    for (const client of sockets.clients) client.close(goingAway, 'The server is stopping.');
    sockets.removeAllListeners();
    sockets.close();
  };
}

/** graphql-ws throws it for a message that only servers send. */
function isOfClient(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Unexpected message of type');
}

/** Who has gone is sent nothing; a connection that fails meanwhile closes by itself. */
function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.OPEN) socket.send(text, () => resolve());
    else resolve();
  });
}

function keepAlive(socket: WebSocket): () => void {
  let isAwaited = false;
  socket.on('pong', () => {
    isAwaited = false;
  });
  const timer = setInterval(() => {
    if (socket.readyState !== socket.OPEN) return;
    if (isAwaited) socket.terminate();
    else socket.ping();
    isAwaited = true;
  }, pingMs);
  return () => clearInterval(timer);
}
