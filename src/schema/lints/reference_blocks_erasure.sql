-- Erasing a tenant or a user is one DELETE: a reference that does nothing on delete stops it.
select 'error' as level, format('%s on %s', k.conname, k.conrelid::regclass) as object, format('deleting a row of %s is refused while this reference exists', k.confrelid::regclass) as message,
  'Say on delete cascade, or on delete set null for history that outlives it.' as remedy
from pg_constraint k
where k.contype = 'f' and k.conparentid = 0 and k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace)
  and k.confdeltype not in ('c', 'n')
