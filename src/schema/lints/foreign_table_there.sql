-- Row security does not reach a foreign table: whoever may read it reads all of it.
select 'error' as level, c.oid::regclass::text as object, 'it is a foreign table, and no policy holds there' as message,
  'Let a source of kind db ask the other database, or copy what is needed into a table.' as remedy
from pg_class c
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and c.relkind = 'f'
