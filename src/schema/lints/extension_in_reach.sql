-- An extension brings functions that everybody may call: in a schema of the API they become fields of it, in public they are found by name.
select 'warning' as level, format('extension %s', e.extname) as object, format('it lies in %s', n.nspname) as message, format('create schema extensions; alter extension %I set schema extensions;', e.extname) as remedy
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where n.nspname in ('app_public', 'app_private', 'public')
union all
select 'warning', format('extension %s', e.extname), format('version %s is older than the server''s %s', e.extversion, a.default_version), format('alter extension %I update;', e.extname)
from pg_extension e
join pg_available_extensions a on a.name = e.extname
where e.extversion <> a.default_version
