-- Without an index on the referencing columns, deleting a referenced row reads the whole table.
select 'warning' as level, format('%s on %s', k.conname, k.conrelid::regclass) as object, 'no index finds the rows of this reference' as message,
  format('create index on %s (%s);', k.conrelid::regclass, (
    select string_agg(a.attname, ', ' order by key.place) from unnest(k.conkey) with ordinality as key (number, place)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = key.number)) as remedy
from pg_constraint k
where k.contype = 'f' and k.conparentid = 0 and k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
  and not exists (
    select from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = k.conrelid and i.indkey[0] = any (k.conkey) and i.indisvalid
      and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$')
      and (cardinality(k.conkey) = 1 or a.attname <> 'tenant_id' or i.indkey[1] = any (k.conkey)))
