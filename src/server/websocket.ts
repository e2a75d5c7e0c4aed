/**
 * GraphQL over WebSocket (graphql-ws) at /graphql. Who speaks is settled when the connection opens, from connectionParams or else from the
 * upgrade's headers, and asked again while it lives: at regular times, and before an answer goes out when the last time is over a second ago.
 * A session or key that has ended closes its connections; so does a change of role or rights, since what runs was begun with the old ones.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { GraphQLError } from 'postgraphile/graphql';
import { type GrafservBase, makeGraphQLWSConfig } from 'postgraphile/grafserv';
import { type WebSocket, WebSocketServer } from 'ws';
import { AgentFlowError } from '../errors.ts';
import type { Admission } from './admission.ts';
import { clientAddress, type IsTrustedProxy } from './client-address.ts';
import { type Log, publicErrorOf } from './errors.ts';
import { completeBody, operationIn } from './graphql-request.ts';
import { type Credentials, type Identity, tenantOf, visitor } from './identity.ts';
import { maxBodyBytes } from './limits.ts';
import { Crowd, Place } from './socket-places.ts';
import { addressName } from './rate-limits.ts';
import { type RequestScope, runInScope } from './scope.ts';
import { type SocketExtra, speakGraphql } from './socket-protocol.ts';

/** Close codes of ours; 4400 to 4429 are graphql-ws's, and mean there what they mean in HTTP. */
const unauthorized = 4401;
const tooManyRequests = 4429;
const tryAgainLater = 1013;
/** Clients connect again by themselves, and get what their new rights give. */
const serviceRestart = 1012;
const maxReasonBytes = 120;
const recheckMs = 10_000;
const freshMs = 1_000;
const maxSubscriptions = 50;
/** Connections of an address that nobody has signed in on, and of a tenant; of this process. */
const maxOfAddress = 100;
const maxOfTenant = 5_000;
const connectionInitWaitMs = 10_000;

interface Connection {
  socket: WebSocket;
  credentials: Credentials;
  scope: RequestScope;
  /** By `performance.now()`. */
  checkedAt: number;
  checking: Promise<void> | null;
}

type Extra = SocketExtra & { connection?: Connection };

export interface WebSocketParts {
  server: Server;
  /** As it is now: operations that begin later than a change of the schema see it, those under way go on as they began. */
  api(): { graphql: GrafservBase; maskError(error: GraphQLError): GraphQLError };
  admission: Admission;
  log: Log;
  isTrustedProxy: IsTrustedProxy;
}

export interface WebSockets {
  /** Says goodbye to every client; whoever has not gone after `graceMs` is cut off. */
  close(graceMs: number): Promise<void>;
}

export function serveWebSockets(parts: WebSocketParts): WebSockets {
  const { server, api, admission, log } = parts;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: maxBodyBytes });
  const connections = new Map<WebSocket, Connection>();
  const configs = new WeakMap<GrafservBase, ReturnType<typeof makeGraphQLWSConfig>>();
  const configNow = (): ReturnType<typeof makeGraphQLWSConfig> => {
    const { graphql } = api();
    const config = configs.get(graphql) ?? makeGraphQLWSConfig(graphql);
    configs.set(graphql, config);
    return config;
  };
  const maskError = (error: GraphQLError): GraphQLError => api().maskError(error);
  const connectionOf = ({ connection }: Extra): Connection => {
    if (!connection) throw new Error('The connection has not been acknowledged');
    return connection;
  };
  const masked = (error: unknown): [GraphQLError] => [maskError(new GraphQLError('Refused', { originalError: error as Error }))];
  const [strangers, tenants] = [new Crowd(maxOfAddress), new Crowd(maxOfTenant)];
  const places = new WeakMap<IncomingMessage, Place>();
  const stopSpeaking = speakGraphql<Pick<Extra, 'connection'>>({
    // They take all that they need from what onSubscribe has made.
    ...configNow() as object,
    connectionInitWaitTimeout: connectionInitWaitMs,
    async onConnect(context) {
      const { socket, request } = context.extra;
      const connection = await openConnection(socket, request, context.connectionParams, parts);
      if (!connection) return false;
      const tenantId = tenantOf(connection.scope.identity);
      if (tenantId !== null && !places.get(request)!.moveTo(tenants, tenantId)) {
        close(socket, tooManyRequests, `RATE_LIMITED: This tenant has ${maxOfTenant} connections.`);
        return false;
      }
      context.extra.connection = connection;
      connections.set(connection.socket, connection);
      return true;
    },
    onDisconnect(context) {
      connections.delete(context.extra.socket);
    },
    async onSubscribe(context, id, payload) {
      const connection = connectionOf(context.extra);
      // Of its own for each operation: they overlap, and what is noted of one is not the other's.
      const scope = { ...connection.scope };
      return await runInScope(scope, async () => {
        try {
          if (Object.keys(context.subscriptions).length > maxSubscriptions) throw tooManyOperations();
          await recheckUnlessFresh(connection, parts);
          completeBody(payload as unknown as Record<string, unknown>, (documentId) => admission.face.queryOf(documentId));
          await admission.admit(operationIn(payload), scope);
        } catch (error) {
          return masked(error);
        }
        const prepared = await configNow().onSubscribe!(context, id, payload);
        return Array.isArray(prepared) ? prepared.map((error) => maskError(error as GraphQLError)) : prepared;
      });
    },
    async onNext(context, id, payload, args, result) {
      const connection = connectionOf(context.extra);
      await recheckUnlessFresh(connection, parts);
      // What was read for an identity that has ended meanwhile stays here: the socket is closing.
      if (connection.socket.readyState !== connection.socket.OPEN) return { data: null };
      return runInScope(connection.scope, () => configNow().onNext!(context as never, id, payload, args, result));
    },
    // What onSubscribe answered is masked already; masking is idempotent.
    onError: (context, id, payload, errors) => runInScope(connectionOf(context.extra).scope, () => configNow().onError!(context as never, id, payload, errors)),
  }, sockets, log);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Who hangs up meanwhile is no fault; without a listener it would end the process.
    socket.on('error', () => socket.destroy());
    const place = new Place();
    places.set(request, place);
    socket.once('close', () => place.leave());
    // Not every address that arrives can be read as a URL.
    if (request.url?.split('?')[0] !== '/graphql') refuseUpgrade(socket, '404 Not Found');
    else if (!place.moveTo(strangers, addressName(clientAddress(request, parts.isTrustedProxy)))) refuseUpgrade(socket, '429 Too Many Requests', ['retry-after: 10']);
    else sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
  };
  server.on('upgrade', upgrade);
  const timer = setInterval(() => void recheckAll(connections, parts), recheckMs);
  return {
    async close(graceMs) {
      clearInterval(timer);
      server.off('upgrade', upgrade);
      const cutOff = setTimeout(() => {
        for (const client of sockets.clients) client.terminate();
      }, graceMs);
      stopSpeaking();
      await Promise.all([...sockets.clients].map((client) => new Promise((resolve) => client.once('close', resolve))));
      clearTimeout(cutOff);
    },
  };
}

function refuseUpgrade(socket: Duplex, status: string, headers: readonly string[] = []): void {
  socket.end([`HTTP/1.1 ${status}`, 'connection: close', 'content-length: 0', ...headers, '', ''].join('\r\n'));
  // Who does not hang up in turn would keep the connection for ever.
  socket.once('finish', () => socket.destroy());
}

/** Null when the credentials are not good: the socket is being closed with 4401 and the reason. */
async function openConnection(
  socket: WebSocket, request: IncomingMessage, params: Record<string, unknown> | undefined, { admission, log, isTrustedProxy }: WebSocketParts,
): Promise<Connection | null> {
  const credentials = credentialsOf(params, request);
  const ip = clientAddress(request, isTrustedProxy);
  const scope: RequestScope = { requestId: randomUUID(), ip, userAgent: request.headers['user-agent'] ?? null, identity: visitor };
  try {
    scope.identity = await admission.identify(credentials, ip);
    await admission.charge(scope, 0);
    return { socket, credentials, scope, checkedAt: performance.now(), checking: null };
  } catch (error) {
    refuse(socket, error, log);
    return null;
  }
}

function tooManyOperations(): AgentFlowError {
  return new AgentFlowError('LIMIT_EXCEEDED', `A connection may have ${maxSubscriptions} operations at a time.`);
}

function credentialsOf(params: Record<string, unknown> | undefined, request: IncomingMessage): Credentials {
  // What is no text is a credential all the same, and no good one: only null says that there is none.
  const given = new Map(Object.entries(params ?? {}).map(([name, value]) => [name.toLowerCase(), value == null ? undefined : typeof value === 'string' ? value : '']));
  const authorization = given.get('authorization');
  const apiKey = given.get('x-api-key');
  if (authorization !== undefined || apiKey !== undefined) return { authorization, apiKey };
  const header = request.headers['x-api-key'];
  return { authorization: request.headers.authorization, apiKey: Array.isArray(header) ? header[0] : header };
}

function refuse(socket: WebSocket, error: unknown, log: Log): void {
  const shown = publicErrorOf(error);
  if (!shown) log.error({ err: error }, 'A connection could not be identified');
  const code = !shown || shown.code === 'UNAVAILABLE' ? tryAgainLater : shown.code === 'RATE_LIMITED' ? tooManyRequests : unauthorized;
  close(socket, code, shown ? `${shown.code}: ${shown.message}` : 'INTERNAL');
}

function close(socket: WebSocket, code: number, reason: string): void {
  socket.close(code, Buffer.from(reason).subarray(0, maxReasonBytes));
}

async function recheckAll(connections: Map<WebSocket, Connection>, parts: WebSocketParts): Promise<void> {
  for (const connection of [...connections.values()]) await recheckUnlessFresh(connection, parts);
}

/** Once for all who ask at the same time. */
function recheckUnlessFresh(connection: Connection, parts: WebSocketParts): Promise<void> | undefined {
  if (connection.scope.identity.kind === 'visitor' || performance.now() - connection.checkedAt < freshMs) return undefined;
  connection.checking ??= recheck(connection, parts).finally(() => {
    connection.checking = null;
  });
  return connection.checking;
}

async function recheck(connection: Connection, { admission, log }: WebSocketParts): Promise<void> {
  const { socket, credentials, scope } = connection;
  try {
    const now = await admission.identifyAgain(credentials);
    connection.checkedAt = performance.now();
    if (!isSame(now, scope.identity)) close(socket, serviceRestart, 'The role or the rights have changed: connect again.');
  } catch (error) {
    // When the database is away nobody can be told from anybody: the connection stays until it can be asked.
    if (error instanceof AgentFlowError) refuse(socket, error, log);
  }
}

function isSame(one: Identity, other: Identity): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
