/** A TCP proxy in front of PostgreSQL that can be shut and opened again: to its clients the database is away meanwhile. */
import net from 'node:net';

export interface Proxy {
  /** The same connection string, through the proxy. */
  through(url: string): string;
  shut(): Promise<void>;
  open(): Promise<void>;
  /** From now on it takes everything, new connections too, and answers nothing, as a host that hangs. `shut` and `open` end it. */
  swallow(): void;
  /** From the next connection on it leads there. */
  lead(targetUrl: string): void;
}

export async function startProxy(targetUrl: string): Promise<Proxy> {
  let target = new URL(targetUrl);
  const sockets = new Set<net.Socket>();
  let port = 0;
  let isSwallowing = false;
  let server: net.Server;
  const keep = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const open = async (): Promise<void> => {
    isSwallowing = false;
    server = net.createServer((client) => {
      if (isSwallowing) {
        keep(client);
        return;
      }
      const upstream = net.connect(Number(target.port), target.hostname);
      keep(client);
      keep(upstream);
      client.on('close', () => upstream.destroy());
      upstream.on('close', () => client.destroy());
      client.pipe(upstream).pipe(client);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    port = (server.address() as net.AddressInfo).port;
  };
  await open();
  return {
    open,
    swallow() {
      isSwallowing = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    lead(url) {
      target = new URL(url);
    },
    through(url) {
      const changed = new URL(url);
      changed.hostname = '127.0.0.1';
      changed.port = String(port);
      return changed.href;
    },
    async shut() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
