/** Every policy, right, trigger and reference, dropped or weakened: each a statement after which the proof must differ. */
import type pg from 'pg';
import type { Part } from './proof.ts';

export const mutationKinds = ['policy', 'row security', 'trigger', 'reference', 'right'] as const;

export interface Mutation {
  kind: (typeof mutationKinds)[number];
  sql: string;
  /** The part of the proof that is enough to notice it. */
  part: Part;
}

/** Names come with their schema: the session's search_path must be empty. */
export async function allMutations(client: pg.ClientBase): Promise<Mutation[]> {
  const parts = [policies, rowSecurity, triggers, references, rights];
  const mutations: Mutation[] = [];
  for (const part of parts) mutations.push(...await part(client));
  return mutations;
}

function partOf(table: string): Part {
  return table.startsWith('app_public.') ? { only: table } : { closed: table };
}

async function policies(client: pg.ClientBase): Promise<Mutation[]> {
  const { rows } = await client.query<{ table: string; policy: string; cmd: string; owners: boolean }>(`
    select polrelid::regclass::text as table, quote_ident(polname) as policy, polcmd as cmd, 'agentflow_owner'::regrole::oid = any (polroles) as owners
    from pg_policy join pg_class c on c.oid = polrelid where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) order by 1, 2`);
  return rows.flatMap(({ table, policy, cmd, owners }) => {
    const part = owners ? { closed: table } : partOf(table);
    const drop = { kind: 'policy' as const, sql: `drop policy ${policy} on ${table}`, part };
    if (owners) return [drop];
    return [
      drop,
      ...(cmd === 'a' ? [] : [{ kind: 'policy' as const, sql: `alter policy ${policy} on ${table} using (true)`, part }]),
      ...(cmd === 'r' || cmd === 'd' ? [] : [{ kind: 'policy' as const, sql: `alter policy ${policy} on ${table} with check (true)`, part }]),
    ];
  });
}

/** Off, on every table of the API. Partitions and private tables too: nobody has a right there, so the policies alone are tried. */
async function rowSecurity(client: pg.ClientBase): Promise<Mutation[]> {
  const { rows } = await client.query<{ table: string }>(`
    select oid::regclass::text as table from pg_class where relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and relkind in ('r', 'p')
      and exists (select from pg_policy where polrelid = pg_class.oid) and not relispartition order by 1`);
  return rows.map(({ table }) => ({ kind: 'row security', sql: `alter table ${table} disable row level security`, part: partOf(table) }));
}

/** Each right that there is, taken away; and each that there is not, given. */
async function rights(client: pg.ClientBase): Promise<Mutation[]> {
  const { rows } = await client.query<{ sql: string }>(`
    with grants as (
      select c.oid::regclass::text as object, null::name as col, acl.grantee::regrole::text as role, acl.privilege_type as privilege
      from pg_class c, aclexplode(c.relacl) acl where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not c.relispartition and acl.grantee not in (c.relowner, 0)
      union all
      select c.oid::regclass::text, a.attname, acl.grantee::regrole::text, acl.privilege_type
      from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) acl where c.relnamespace = 'app_public'::regnamespace and not c.relispartition)
    select format('revoke %s%s on %s from %s', privilege, ' (' || quote_ident(col) || ')', object, role) as sql from grants
    union all
    select format('revoke execute on function %s from %s', p.oid::regprocedure, acl.grantee::regrole)
    from pg_proc p, aclexplode(p.proacl) acl where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and acl.grantee not in (p.proowner, 0)
    union all
    select format('revoke usage on schema %I from %s', n.nspname, acl.grantee::regrole)
    from pg_namespace n, aclexplode(n.nspacl) acl where n.nspname in ('app_public', 'app_private') and acl.grantee not in (n.nspowner, 0)
    union all
    select format('grant %s on %s to %s', p, c.oid::regclass, role)
    from pg_class c, unnest(array['select', 'insert', 'update', 'delete', 'truncate']) p, unnest(array['agentflow_user', 'agentflow_visitor', 'agentflow_operator', 'agentflow_worker', 'agentflow_authenticator']) role
    where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind in ('r', 'p') and not c.relispartition and not has_table_privilege(role, c.oid, p)
    union all
    select format('grant select (%I) on %s to agentflow_user', a.attname, c.oid::regclass)
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition and not has_column_privilege('agentflow_user', c.oid, a.attnum, 'select')
    union all
    select format('grant execute on function %s to %s', p.oid::regprocedure, role)
    from pg_proc p, unnest(array['agentflow_visitor', 'agentflow_user']) role
    where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and p.prosecdef and not has_function_privilege(role, p.oid, 'execute')`);
  return rows.map(({ sql }) => ({ kind: 'right', sql, part: 'rights' }));
}

/** Dropped, from the partitions too where they have it for themselves. */
async function triggers(client: pg.ClientBase): Promise<Mutation[]> {
  const { rows } = await client.query<{ table: string; name: string; copies: string[] }>(`
    select t.tgrelid::regclass::text as table, quote_ident(t.tgname) as name,
      array(select copy.tgrelid::regclass::text from pg_inherits h join pg_trigger copy on copy.tgrelid = h.inhrelid
        where h.inhparent = t.tgrelid and copy.tgname = t.tgname and copy.tgparentid = 0) as copies
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not t.tgisinternal and not c.relispartition order by 1, 2`);
  return rows.map(({ table, name, copies }) => ({ kind: 'trigger', sql: [table, ...copies].map((one) => `drop trigger ${name} on ${one}`).join('; '), part: partOf(table) }));
}

/** Dropped; and with the tenant left out of those that carry it. */
async function references(client: pg.ClientBase): Promise<Mutation[]> {
  const { rows } = await client.query<{ table: string; name: string; own: string[]; target: string; foreign: string[]; action: string; carries: boolean }>(`
    select k.conrelid::regclass::text as table, cardinality(k.conkey) > 1 as carries, quote_ident(k.conname) as name, k.confrelid::regclass::text as target, case k.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'no action' end as action,
      array(select a.attname::text from unnest(k.conkey) with ordinality as part (number, place) join pg_attribute a on a.attrelid = k.conrelid and a.attnum = part.number where a.attname <> 'tenant_id' order by place) as own,
      array(select a.attname::text from unnest(k.confkey) with ordinality as part (number, place) join pg_attribute a on a.attrelid = k.confrelid and a.attnum = part.number where a.attname <> 'tenant_id' order by place) as foreign
    from pg_constraint k where k.contype = 'f' and k.conparentid = 0 and k.connamespace = 'app_public'::regnamespace order by 1, 2`);
  return rows.flatMap(({ table, name, own, target, foreign, action, carries }) => {
    const drop = `alter table ${table} drop constraint ${name}`;
    const hasUniqueTarget = foreign.length === 1 && foreign[0] === 'id' && target !== 'app_public.flows';
    return [
      { kind: 'reference' as const, sql: drop, part: partOf(table) },
      ...(carries && own.length === 1 && hasUniqueTarget
        ? [{ kind: 'reference' as const, sql: `${drop}; alter table ${table} add constraint ${name} foreign key (${own[0]}) references ${target} (id) on delete ${action}`, part: partOf(table) }]
        : []),
    ];
  });
}
