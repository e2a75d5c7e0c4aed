-- Left by a broken CREATE INDEX CONCURRENTLY: kept up to date and never used.
select 'error' as level, i.indexrelid::regclass::text as object, 'this index is not valid' as message,
  format('drop index %s; and create it again', i.indexrelid::regclass) as remedy
from pg_index i
join pg_class c on c.oid = i.indrelid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not (i.indisvalid and i.indisready)
