/** A pgbouncer in transaction mode before the cluster: a program of the machine, on a free port, for as long as `use` takes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BleedTarget } from './bleed.ts';

/** `program`: where it is. `use` gets `host:port`. */
export async function throughPgbouncer<T>(cluster: BleedTarget, program: string, connections: number, use: (address: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-bench-pooler-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const target = new URL(cluster.url('agentflow_authenticator'));
  const users = path.join(folder, 'users.txt');
  writeFileSync(users, `"agentflow_authenticator" "${decodeURIComponent(target.password)}"\n`);
  const file = path.join(folder, 'pgbouncer.ini');
  writeFileSync(file, `[databases]\n* = host=${target.hostname} port=${target.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = plain\nauth_file = ${users}
pool_mode = transaction\ndefault_pool_size = ${connections}\nmax_client_conn = 1000\nignore_startup_parameters = extra_float_digits,options\nlogfile = ${path.join(folder, 'log')}\n`);
  chmodSync(users, 0o644);
  const asNobody = process.getuid?.() === 0; // it refuses to run as root
  if (asNobody) chmodSync(folder, 0o777);
  const child = spawn(program, ['-q', ...(asNobody ? ['-u', 'nobody'] : []), file], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  try {
    await answering(port);
    return await use(`127.0.0.1:${port}`);
  } finally {
    child.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answering(port: number): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    const socket = net.connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await sleep(50);
    } finally {
      socket.destroy();
    }
  }
  throw new Error('pgbouncer does not answer.');
}
