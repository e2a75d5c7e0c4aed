-- Two indexes on the same columns are written twice and used once.
select 'warning' as level, b.indexrelid::regclass::text as object, format('says the same as %s', a.indexrelid::regclass) as message,
  format('drop index %s;', b.indexrelid::regclass) as remedy
from pg_index a
join pg_index b on b.indrelid = a.indrelid and b.indexrelid > a.indexrelid
  and b.indkey::text = a.indkey::text and b.indclass::text = a.indclass::text and b.indcollation::text = a.indcollation::text and b.indoption::text = a.indoption::text
  and coalesce(pg_get_expr(b.indexprs, b.indrelid), '') = coalesce(pg_get_expr(a.indexprs, a.indrelid), '')
  and coalesce(pg_get_expr(b.indpred, b.indrelid), '') = coalesce(pg_get_expr(a.indpred, a.indrelid), '')
join pg_class c on c.oid = a.indrelid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not c.relispartition
