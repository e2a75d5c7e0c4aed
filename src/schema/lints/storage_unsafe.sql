-- An unlogged table is empty after a crash; one that is never vacuumed grows until the server stops to save its transaction ids.
select 'error' as level, c.oid::regclass::text as object, 'it is unlogged: empty after a crash, and not on a replica' as message, format('alter table %s set logged;', c.oid::regclass) as remedy
from pg_class c
where c.relnamespace = 'app_public'::regnamespace and c.relkind in ('r', 'p') and c.relpersistence = 'u'
union all
select 'error', c.oid::regclass::text, 'autovacuum is off', format('alter table %s reset (autovacuum_enabled);', c.oid::regclass)
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and exists (select from unnest(c.reloptions) as setting where setting ~* '^autovacuum_enabled=(f|off|no|0)')
