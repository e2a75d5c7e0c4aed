-- Policies of the parent do not hold for a partition that is named itself.
select distinct 'error' as level, c.oid::regclass::text as object,
  case when c.relnamespace <> 'app_private'::regnamespace then 'this partition lies outside app_private' else format('this partition gives rights to %s', acl.grantee::regrole) end as message,
  format('alter table %1$s set schema app_private; revoke all on %1$s from public, agentflow_user;', c.oid::regclass) as remedy
from pg_class c
left join lateral aclexplode(c.relacl) as acl on acl.grantee <> c.relowner
join pg_inherits h on h.inhrelid = c.oid
join pg_class parent on parent.oid = h.inhparent
where c.relispartition and c.relkind in ('r', 'p') and parent.relnamespace = 'app_public'::regnamespace
  and (c.relnamespace <> 'app_private'::regnamespace or acl.grantee is not null)
