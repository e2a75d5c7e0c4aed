/** Rules that hold for every object of the schema, read from the catalog: each query names the offenders. */

export interface Lint {
  rule: string;
  sql: string;
}

const ours = `in ('app_public'::regnamespace, 'app_private'::regnamespace)`;

export const lints: Lint[] = [
  {
    rule: 'row-level security is enabled and forced on every table and partition',
    sql: `select oid::regclass::text as offender from pg_class
          where relnamespace ${ours} and relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity)`,
  },
  {
    rule: 'every table and partition has the policy of the owner',
    sql: `select c.oid::regclass::text as offender from pg_class c
          where c.relnamespace ${ours} and c.relkind in ('r', 'p') and not exists (
            select from pg_policies p where p.schemaname::regnamespace = c.relnamespace and p.tablename = c.relname and p.policyname = 'owner_all'
              and p.roles = '{agentflow_owner}' and p.cmd = 'ALL' and p.qual = 'true' and p.with_check = 'true')`,
  },
  {
    rule: 'policies are for named roles, and only the owner has one for everything',
    sql: `select schemaname || '.' || tablename || '.' || policyname as offender from pg_policies
          where schemaname in ('app_public', 'app_private')
            and not (roles = '{agentflow_owner}' and policyname = 'owner_all') and not (roles = '{agentflow_user}' and cmd <> 'ALL' and schemaname = 'app_public')`,
  },
  {
    rule: 'policies that let write say what may be written',
    sql: `select tablename || '.' || policyname as offender from pg_policies
          where schemaname in ('app_public', 'app_private') and cmd in ('INSERT', 'UPDATE', 'ALL') and with_check is null`,
  },
  {
    rule: 'policies call settings functions once per statement (wrapped in a select)',
    sql: `select tablename || '.' || policyname as offender from pg_policies
          where schemaname = 'app_public' and regexp_replace(coalesce(qual, '') || coalesce(with_check, ''), 'SELECT (app_public\\.|app_private\\.)?(current_\\w+|may|acts_by_key)\\(', '', 'g')
            ~ '(current_(tenant|user)\\w*|may|acts_by_key)\\('`,
  },
  {
    rule: 'every table of the API has the tenant, never null',
    sql: `select c.oid::regclass::text as offender from pg_class c
          where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'tenants'
            and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull)`,
  },
  {
    // node_executions are reached through their execution, whose id leads their key: an index more would be paid on every checkpoint.
    rule: 'every table with a tenant has an index that the tenant leads',
    sql: `select c.oid::regclass::text as offender from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
          where c.relnamespace ${ours} and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'node_executions'
            and not exists (select from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indpred is null)`,
  },
  {
    rule: 'references between tables of tenants carry the tenant (the audit log outlives its users)',
    sql: `select c.conname as offender from pg_constraint c join pg_class target on target.oid = c.confrelid
          where c.contype = 'f' and c.connamespace ${ours} and target.relname <> 'tenants' and c.conname not like '%audit_logs_user_id%'
            and not exists (select from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey) and a.attname = 'tenant_id')`,
  },
  {
    rule: 'every foreign key has an index that finds its rows',
    sql: `select c.conrelid::regclass || '.' || c.conname as offender from pg_constraint c
          where c.contype = 'f' and c.connamespace ${ours} and c.conparentid = 0
            and not exists (select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
              where i.indrelid = c.conrelid and i.indkey[0] = any (c.conkey)
                and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\\(\\w+ IS NOT NULL\\)$')
                and (cardinality(c.conkey) = 1 or a.attname <> 'tenant_id' or i.indkey[1] = any (c.conkey)))`,
  },
  {
    rule: 'functions with the power of the owner have a search_path, and pg_temp last in it',
    sql: `select oid::regprocedure::text as offender from pg_proc
          where pronamespace ${ours} and prosecdef
            and not exists (select from unnest(proconfig) as setting where setting ~ '^search_path=.*pg_temp$')`,
  },
  {
    // Those that only the owner calls run under the search_path of the function that calls them.
    rule: 'functions whose text is read at run time, and that others may call, have a search_path too',
    sql: `select oid::regprocedure::text as offender from pg_proc
          where pronamespace ${ours} and prosqlbody is null
            and (prorettype = 'trigger'::regtype or exists (select from aclexplode(proacl) as acl where acl.grantee <> proowner))
            and not exists (select from unnest(proconfig) as setting where setting ~ '^search_path=.*pg_temp$')`,
  },
  {
    rule: 'no function is executable by everybody',
    sql: `select p.oid::regprocedure::text as offender from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as acl
          where p.pronamespace ${ours} and acl.grantee = 0`,
  },
  {
    rule: 'everything belongs to the owner',
    sql: `select oid::regclass::text as offender from pg_class where relnamespace ${ours} and relowner <> 'agentflow_owner'::regrole
          union all select oid::regprocedure::text from pg_proc where pronamespace ${ours} and proowner <> 'agentflow_owner'::regrole`,
  },
  {
    rule: 'app_private gives no right on any table or sequence to anybody',
    sql: `select c.oid::regclass::text as offender from pg_class c, aclexplode(c.relacl) as acl
          where c.relnamespace = 'app_private'::regnamespace and acl.grantee <> c.relowner`,
  },
  {
    rule: 'only agentflow_user has rights on tables, and nobody may delete or truncate',
    sql: `select c.oid::regclass || ': ' || acl.grantee::regrole || ' ' || acl.privilege_type as offender
          from pg_class c, aclexplode(c.relacl) as acl
          where c.relnamespace = 'app_public'::regnamespace and acl.grantee <> c.relowner
            and not (acl.grantee = 'agentflow_user'::regrole and acl.privilege_type = 'SELECT')`,
  },
  {
    rule: 'columns with secrets are readable for nobody',
    sql: `select t.table_name || '.' || t.column_name as offender
          from (values ('users', 'password_hash'), ('api_keys', 'key_hash'), ('task_executions', 'error_traceback')) as t (table_name, column_name),
            unnest(array['agentflow_visitor', 'agentflow_user', 'agentflow_operator', 'agentflow_worker', 'agentflow_authenticator']) as role
          where has_column_privilege(role, 'app_public.' || t.table_name, t.column_name, 'select')`,
  },
  {
    rule: 'tenant, owner, identity and history are writable for nobody',
    sql: `select c.oid::regclass || '.' || a.attname as offender
          from pg_class c join pg_attribute a on a.attrelid = c.oid
          where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p')
            and a.attname in ('id', 'tenant_id', 'user_id', 'created_at', 'updated_at', 'deleted_at', 'created_by', 'updated_by', 'deleted_by', 'password_hash', 'key_hash')
            and (has_column_privilege('agentflow_user', c.oid, a.attnum, 'insert') or has_column_privilege('agentflow_user', c.oid, a.attnum, 'update'))`,
  },
  {
    rule: 'every table, column, function and type that the API shows has a comment',
    sql: `select c.oid::regclass::text as offender from pg_class c
          where c.relnamespace ${ours} and c.relkind in ('r', 'p', 'v') and not c.relispartition and obj_description(c.oid, 'pg_class') is null
          union all
          select a.attrelid::regclass || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid
          where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped
            and col_description(a.attrelid, a.attnum) is null
          union all
          select oid::regprocedure::text from pg_proc where pronamespace ${ours} and obj_description(oid, 'pg_proc') is null
          union all
          select oid::regtype::text from pg_type where typnamespace = 'app_public'::regnamespace and typtype = 'e' and obj_description(oid, 'pg_type') is null`,
  },
  {
    rule: 'functions that CHECKs call are immutable and executable for those who write',
    sql: `select distinct p.oid::regprocedure::text as offender
          from pg_constraint c join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = c.oid and d.refclassid = 'pg_proc'::regclass
          join pg_proc p on p.oid = d.refobjid
          where c.contype = 'c' and p.pronamespace ${ours}
            and (p.provolatile <> 'i' or not has_function_privilege('agentflow_user', p.oid, 'execute'))`,
  },
];
