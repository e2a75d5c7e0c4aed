/**
 * GraphQL over WebSocket (graphql-ws) at /graphql. Who speaks is settled when the connection opens, from connectionParams or else from the
 * upgrade's headers, and asked again every half minute: a session or key that has ended closes its connections.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { useServer } from 'graphql-ws/use/ws';
import { GraphQLError } from 'postgraphile/graphql';
import { type GrafservBase, makeGraphQLWSConfig } from 'postgraphile/grafserv';
import { type WebSocket, WebSocketServer } from 'ws';
import { AgentFlowError } from '../errors.ts';
import { type Log, publicErrorOf } from './errors.ts';
import type { Credentials, Identity } from './identity.ts';
import { maxBodyBytes } from './limits.ts';
import { type RequestScope, runInScope } from './scope.ts';

/** Close codes of ours; 4400 to 4429 are graphql-ws's, and mean there what they mean in HTTP. */
const unauthorized = 4401;
const tryAgainLater = 1013;
const maxReasonBytes = 120;
const recheckMs = 30_000;
const maxSubscriptions = 50;
const connectionInitWaitMs = 10_000;

interface Connection {
  socket: WebSocket;
  credentials: Credentials;
  scope: RequestScope;
}

/** A type, not an interface: graphql-ws wants an index signature. */
type Extra = { connection?: Connection };

export interface WebSocketParts {
  server: Server;
  graphql: GrafservBase;
  identify(credentials: Credentials): Promise<Identity>;
  maskError(error: GraphQLError): GraphQLError;
  log: Log;
}

export interface WebSockets {
  /** Says goodbye to every client; whoever has not gone after `graceMs` is cut off. */
  close(graceMs: number): Promise<void>;
}

export function serveWebSockets({ server, graphql, identify, maskError, log }: WebSocketParts): WebSockets {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxBodyBytes });
  const connections = new Map<WebSocket, Connection>();
  const base = makeGraphQLWSConfig(graphql);
  const scopeOf = (extra: Extra): RequestScope => {
    if (!extra.connection) throw new Error('The connection has not been acknowledged');
    return extra.connection.scope;
  };
  const served = useServer<Record<string, unknown>, Extra>({
    ...base,
    connectionInitWaitTimeout: connectionInitWaitMs,
    async onConnect(context) {
      const connection = await openConnection(context.extra.socket, context.extra.request, context.connectionParams, identify, log);
      if (!connection) return false;
      context.extra.connection = connection;
      connections.set(connection.socket, connection);
      return true;
    },
    onDisconnect(context) {
      connections.delete(context.extra.socket);
    },
    async onSubscribe(context, id, payload) {
      if (Object.keys(context.subscriptions).length > maxSubscriptions) {
        return [maskError(new GraphQLError('Refused', { originalError: tooManyOperations() }))];
      }
      return await runInScope(scopeOf(context.extra), async () => {
        const prepared = await base.onSubscribe!(context, id, payload);
        return Array.isArray(prepared) ? prepared.map((error) => maskError(error as GraphQLError)) : prepared;
      });
    },
    onNext: (context, id, payload, args, result) => runInScope(scopeOf(context.extra), () => base.onNext!(context as never, id, payload, args, result)),
    // What onSubscribe answered is masked already; masking is idempotent.
    onError: (context, id, payload, errors) => runInScope(scopeOf(context.extra), () => base.onError!(context as never, id, payload, errors)),
  }, sockets);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (new URL(request.url ?? '/', 'http://localhost').pathname === '/graphql') {
      sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
    } else {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    }
  };
  server.on('upgrade', upgrade);
  const timer = setInterval(() => void recheck(connections, identify, log), recheckMs);
  return {
    async close(graceMs) {
      clearInterval(timer);
      server.off('upgrade', upgrade);
      const cutOff = setTimeout(() => {
        for (const client of sockets.clients) client.terminate();
      }, graceMs);
      await served.dispose();
      await Promise.all([...sockets.clients].map((client) => new Promise((resolve) => client.once('close', resolve))));
      clearTimeout(cutOff);
    },
  };
}

/** Null when the credentials are not good: the socket is being closed with 4401 and the reason. */
async function openConnection(
  socket: WebSocket, request: IncomingMessage, params: Record<string, unknown> | undefined, identify: WebSocketParts['identify'], log: Log,
): Promise<Connection | null> {
  const credentials = credentialsOf(params, request);
  try {
    const identity = await identify(credentials);
    const ip = request.socket.remoteAddress ?? null;
    return { socket, credentials, scope: { requestId: randomUUID(), ip, userAgent: request.headers['user-agent'] ?? null, identity } };
  } catch (error) {
    refuse(socket, error, log);
    return null;
  }
}

function tooManyOperations(): AgentFlowError {
  return new AgentFlowError('LIMIT_EXCEEDED', `A connection may have ${maxSubscriptions} operations at a time.`);
}

function credentialsOf(params: Record<string, unknown> | undefined, request: IncomingMessage): Credentials {
  const given = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), typeof value === 'string' ? value : undefined]));
  const authorization = given.get('authorization');
  const apiKey = given.get('x-api-key');
  if (authorization !== undefined || apiKey !== undefined) return { authorization, apiKey };
  const header = request.headers['x-api-key'];
  return { authorization: request.headers.authorization, apiKey: Array.isArray(header) ? header[0] : header };
}

function refuse(socket: WebSocket, error: unknown, log: Log): void {
  const shown = publicErrorOf(error);
  if (!shown) log.error({ err: error }, 'A connection could not be identified');
  const code = !shown || shown.code === 'UNAVAILABLE' ? tryAgainLater : unauthorized;
  const reason = shown ? `${shown.code}: ${shown.message}` : 'INTERNAL';
  socket.close(code, Buffer.from(reason).subarray(0, maxReasonBytes));
}

async function recheck(connections: Map<WebSocket, Connection>, identify: WebSocketParts['identify'], log: Log): Promise<void> {
  for (const { socket, credentials } of [...connections.values()]) {
    try {
      await identify(credentials);
    } catch (error) {
      // When the database is away nobody can be told from anybody: the connection stays until it can be asked.
      if (error instanceof AgentFlowError) refuse(socket, error, log);
    }
  }
}
