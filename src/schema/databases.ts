/** What must hold before a database is dropped and made anew: it is not the one that people use, and nobody is in it. */
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { withClient } from './connection.ts';

/**
 * The shadow is dropped: it must not be the database itself under another name of its host. A lock taken in one is seen in
 * the other only when they are the same.
 */
export async function demandSeparateShadow(databaseUrl: string, shadowUrl: string, rootUrl: string): Promise<void> {
  const refuse = (variable = 'DATABASE_URL'): never => {
    throw new AgentFlowError('CONFIG_INVALID', `SHADOW_DATABASE_URL leads to the same database as ${variable} (${databaseName(shadowUrl)}), and the shadow is dropped whenever it is needed.`, {
      remedy: 'Let SHADOW_DATABASE_URL name a database of its own, for example agentflow_shadow.',
      details: { problems: [{ variable: 'SHADOW_DATABASE_URL', message: `names the database of ${variable}` }] },
    });
  };
  const place = (url: string): string => ((parts) => `${parts.host}${parts.pathname}`)(new URL(url));
  if (place(databaseUrl) === place(shadowUrl)) refuse();
  if (place(rootUrl) === place(shadowUrl)) refuse('ROOT_DATABASE_URL');
  const lock = `pg_catalog.hashtext('agentflow shadow'), pg_catalog.pg_backend_pid()`;
  await withClient(databaseUrl, async (main) => {
    const { rows: [mine] } = await main.query<{ pid: number; started: Date }>(`
      select pg_backend_pid() as pid, pg_postmaster_start_time() as started, pg_advisory_lock(${lock})`);
    try {
      await withClient(shadowUrl, async (shadow) => {
        const { rows: [seen] } = await shadow.query<{ free: boolean; started: Date }>(`
          select pg_try_advisory_lock(pg_catalog.hashtext('agentflow shadow'), $1) as free, pg_postmaster_start_time() as started`, [mine!.pid]);
        if (!seen!.free && seen!.started.getTime() === mine!.started.getTime()) refuse();
      });
    } catch (error) {
      if ((error as { code?: string }).code !== '3D000') throw error; // no such database yet: so it is not the main one
    }
  });
}

/** Throws DATABASE_IN_USE naming who is connected. `root` is connected to another database. */
export async function demandUnused(root: pg.Client, name: string): Promise<void> {
  const sessions = async () => (await root.query<{ pid: number; usename: string | null; application_name: string; client_addr: string | null }>(
    `select pid, usename, application_name, client_addr::text from pg_stat_activity where datname = $1 and backend_type = 'client backend'`, [name])).rows;
  let rows = await sessions();
  for (let tries = 0; rows.length > 0 && tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50)); // a session that has said goodbye is listed a moment longer
    rows = await sessions();
  }
  if (rows.length === 0) return;
  const who = rows.map((row) => `${row.usename} (${row.application_name || 'no application name'}, process ${row.pid})`).join(', ');
  throw new AgentFlowError('DATABASE_IN_USE', `The database ${name} cannot be dropped: connected are ${who}.`, {
    remedy: `Disconnect them (stop AgentFlow, close psql), or end them: select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
    details: { sessions: rows },
  });
}

export function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}
