/** How long it takes to seal audit rows and to check the chain, and whether a changed byte is found. */
import pg from 'pg';
import type { OwnCluster } from '../support/own-cluster.ts';
import type { TableRow } from '../support/table.ts';
import { makeTenant } from './tenant.ts';

export async function sealing(cluster: OwnCluster, rows: number): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const { id, userId } = await makeTenant(owner, 1);
  await owner.query(`
    insert into app_public.audit_logs (tenant_id, user_id, action, entity_type, entity_id, new_value, ip_address)
    select $1, $2, 'update', 'workflow', gen_random_uuid(), jsonb_build_object('name', 'workflow ' || n, 'description', repeat('x', 200)), '192.0.2.1' from generate_series(1, $3::int) as n`, [id, userId, rows]);
  await owner.query('vacuum analyze app_public.audit_logs');
  const timed = async (sql: string): Promise<[seconds: string, found: Record<string, unknown>[]]> => {
    const begun = performance.now();
    const result = await owner.query(sql);
    return [((performance.now() - begun) / 1_000).toFixed(2), result.rows as Record<string, unknown>[]];
  };
  const [sealed] = await timed('select app_private.seal_audit(100000000)');
  const [checked, faults] = await timed('select * from app_private.audit_faults()');
  if (faults.length > 0) throw new Error(`The chain is at fault although nobody touched it: ${JSON.stringify(faults[0])}`);
  const superuser = new pg.Client({ connectionString: cluster.url('postgres', 'agentflow') });
  await superuser.connect();
  await superuser.query(`set session_replication_role = replica`);
  const { rows: [touched] } = await superuser.query<{ id: string }>(`update app_public.audit_logs set new_value = jsonb_set(new_value, '{description}', to_jsonb(repeat('x', 199) || 'y'))
    where id = (select id from app_public.audit_logs where tenant_id = $1 order by log_number offset $2 limit 1) returning id`, [id, Math.floor(rows / 2)]);
  await superuser.end();
  const [found, named] = await timed('select audit_log_id as id, problem from app_private.audit_faults()');
  await owner.end();
  return [{ rows, 'sealed in s': sealed, 'checked in s': checked, 'one byte changed, found in s': found, bar: '10', 'named exactly': named.length === 1 && named[0]!['id'] === touched!.id ? 'yes' : 'NO' }];
}
