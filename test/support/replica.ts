/** A streaming replica of an embedded PostgreSQL. Its programs have no pg_basebackup: the folder is copied between pg_backup_start and pg_backup_stop, which is all that one does. */
import { appendFileSync, chownSync, cpSync, lstatSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbedded } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';

export interface Replica extends EmbeddedPostgres {
  /** Resolves when it has applied what the primary has committed by now. */
  caughtUp(): Promise<void>;
  /** Makes it a primary of its own. */
  promote(): Promise<void>;
}

/** Under this name the primary waits for it when `synchronous_standby_names` says so. */
export const replicaName = 'agentflow_replica';

/** From PostgreSQL 15 on. `folder`: of the primary; `dataDir`: an empty one. */
export async function startReplica(primary: EmbeddedPostgres, folder: string, dataDir: string): Promise<Replica> {
  const data = path.join(dataDir, 'postgres');
  await withClient(primary.url('postgres', 'postgres'), async (client) => {
    // What it needs is kept until it has it, also while nobody streams.
    await client.query(`select pg_create_physical_replication_slot('${replicaName}', true) where not exists (select from pg_replication_slots where slot_name = '${replicaName}')`);
    await client.query(`select pg_backup_start('replica', fast => true)`);
    copyFolder(path.join(folder, 'postgres'), data);
    cpSync(path.join(folder, 'secrets.json'), path.join(dataDir, 'secrets.json'));
    const { rows: [backup] } = await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(wait_for_archive => false)');
    const { port, secrets } = primary;
    writeFileSync(path.join(data, 'backup_label'), backup!.labelfile);
    writeFileSync(path.join(data, 'standby.signal'), '');
    appendFileSync(path.join(data, 'postgresql.auto.conf'),
      `\nprimary_conninfo = 'host=127.0.0.1 port=${port} user=postgres password=${secrets.passwords.postgres} application_name=${replicaName}'\nprimary_slot_name = '${replicaName}'\n`);
    own(data, path.join(folder, 'postgres'));
  });
  const replica = await startEmbedded({ dataDir, settings: { hot_standby: 'on' } });
  return Object.assign(replica, {
    caughtUp: () => untilCaughtUp(primary, replica),
    promote: () => withClient(replica.url('postgres', 'postgres'), async (client) => void await client.query('select pg_promote(true, 60)')),
  });
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  const passing = /\/(postmaster\.(pid|opts)|pg_replslot\/.+|pg_stat_tmp\/.+|pg_subtrans\/.+|pg_notify\/.+|pg_serial\/.+|pg_snapshots\/.+|pg_dynshmem\/.+)$/;
  cpTree(from, to, (file) => !passing.test(file));
}

/** Files come and go while PostgreSQL works: what is gone is not needed. */
function cpTree(from: string, to: string, wanted: (file: string) => boolean): void {
  for (const name of readdirSync(from)) {
    const [source, target] = [path.join(from, name), path.join(to, name)];
    if (!wanted(source)) continue;
    try {
      if (lstatSync(source).isDirectory()) {
        mkdirSync(target, { recursive: true, mode: 0o700 });
        cpTree(source, target, wanted);
      } else cpSync(source, target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** PostgreSQL runs under another account when this process is root's. */
function own(folder: string, like: string): void {
  const { uid, gid } = statSync(like);
  chownSync(folder, uid, gid);
  if (lstatSync(folder).isDirectory()) for (const name of readdirSync(folder)) own(path.join(folder, name), like);
}

async function untilCaughtUp(primary: EmbeddedPostgres, replica: EmbeddedPostgres): Promise<void> {
  const { rows: [at] } = await withClient(primary.url('postgres', 'postgres'), (client) => client.query<{ lsn: string }>('select pg_current_wal_flush_lsn() as lsn'));
  await withClient(replica.url('postgres', 'postgres'), async (client) => {
    for (;;) {
      const { rows: [row] } = await client.query<{ has: boolean }>('select pg_last_wal_replay_lsn() >= $1::pg_lsn as has', [at!.lsn]);
      if (row!.has) return;
      await sleep(20);
    }
  });
}
