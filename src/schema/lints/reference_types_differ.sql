-- Columns of different types are compared by a cast, which keeps indexes from being used and can fail for a row that is there.
select 'warning' as level, format('%s on %s', k.conname, k.conrelid::regclass) as object,
  format('%s is %s, and %s.%s is %s', own.attname, format_type(own.atttypid, null), k.confrelid::regclass, target.attname, format_type(target.atttypid, null)) as message,
  format('alter table %s alter column %I type %s;', k.conrelid::regclass, own.attname, format_type(target.atttypid, target.atttypmod)) as remedy
from pg_constraint k
cross join lateral unnest(k.conkey, k.confkey) as part (own, target)
join pg_attribute own on own.attrelid = k.conrelid and own.attnum = part.own
join pg_attribute target on target.attrelid = k.confrelid and target.attnum = part.target
where k.contype = 'f' and k.conparentid = 0 and k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and own.atttypid <> target.atttypid
