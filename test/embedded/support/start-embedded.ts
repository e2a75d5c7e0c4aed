/** A process of its own with an embedded PostgreSQL, for tests that kill it or run it as somebody else. One JSON argument; one JSON line when it is up, or has failed. */
import { startEmbedded, type EmbeddedOptions } from '../../../src/embedded/index.ts';

const { options, user } = JSON.parse(process.argv[2]!) as { options: EmbeddedOptions; user: { uid: number; gid: number } | null };

if (user) {
  process.setgroups!([]);
  process.setgid!(user.gid);
  process.setuid!(user.uid);
}
try {
  const embedded = await startEmbedded(options);
  process.stdout.write(`${JSON.stringify({ pid: process.pid, postgres: embedded.pid, url: embedded.url('agentflow_owner') })}\n`);
  process.stdin.on('end', () => void embedded.close().then(() => process.exit(0)));
  process.stdin.resume();
} catch (error) {
  const { code, message } = error as { code: string; message: string };
  process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
}
