/**
 * The account that runs the server. PostgreSQL refuses to run as root, so root hands it to `postgres`, else `nobody`;
 * anybody else runs it as themselves.
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';

export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Null: the server runs as the user that we are. */
export function serverAccount(accountsFile = '/etc/passwd'): Account | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = readFileSync(accountsFile, 'utf8').split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const found = accounts.find((fields) => fields[0] === name);
    if (found) return { name, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new AgentFlowError('EMBEDDED_POSTGRES', 'PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.', {
    remedy: 'Start AgentFlow as another user, or create the user postgres.',
  });
}

/** PostgreSQL runs only as the owner of its cluster: root runs it as whoever made it, even where another account would be chosen today. */
export function ownerOf(clusterFolder: string): Account | null {
  if (process.getuid?.() !== 0) return null;
  const { uid, gid } = statSync(clusterFolder);
  return { name: `user ${uid}`, uid, gid };
}

/** May the account enter this folder, and every folder above it? Looks at mode bits only. */
export function canReach(folder: string, account: Account | null): boolean {
  if (account === null) return true;
  for (let current = path.resolve(folder); ; current = path.dirname(current)) {
    const { mode, uid, gid } = statSync(current);
    const enter = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & enter) === 0) return false;
    if (current === path.dirname(current)) return true;
  }
}
