-- NOT VALID lets the rows that were there already break the rule.
select 'warning' as level, format('%s on %s', k.conname, k.conrelid::regclass) as object, 'rows that were there before may break it' as message,
  format('alter table %s validate constraint %I;', k.conrelid::regclass, k.conname) as remedy
from pg_constraint k
where k.connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not k.convalidated
