/** Runs a statement that may be refused, inside a transaction that goes on afterwards. */
import type pg from 'pg';

export interface Outcome {
  /** Rows returned or changed; 0 when refused. */
  rows: number;
  /** SQLSTATE when refused. */
  refused: string | null;
  message: string | null;
}

export async function probe(client: pg.ClientBase, sql: string, values: unknown[] = []): Promise<Outcome> {
  await client.query('savepoint probe');
  try {
    const result = await client.query(sql, values);
    await client.query('rollback to savepoint probe');
    return { rows: result.rowCount ?? 0, refused: null, message: null };
  } catch (error) {
    await client.query('rollback to savepoint probe');
    const { code, message } = error as { code?: string; message: string };
    return { rows: 0, refused: code ?? 'unknown', message };
  }
}

/** Becomes a role with claims inside the present transaction; `leave` gives the owner back. */
export async function become(client: pg.ClientBase, role: string, claims: Record<string, string>): Promise<void> {
  const names = ['tenant_id', 'user_id', 'role', 'permissions', 'api_key_id'];
  await client.query(`select ${names.map((name, index) => `set_config('jwt.claims.${name}', $${index + 1}, true)`).join(', ')}`, names.map((name) => claims[name] ?? ''));
  await client.query(`set local role ${role}`);
}

export async function leave(client: pg.ClientBase): Promise<void> {
  await client.query('reset role');
  await become(client, 'none', {});
}
