-- A trigger that is switched off, or for replicas only, keeps nothing.
select 'error' as level, format('%s on %s', t.tgname, t.tgrelid::regclass) as object, 'this trigger is switched off' as message,
  format('alter table %s enable trigger %I;', t.tgrelid::regclass, t.tgname) as remedy
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and t.tgenabled in ('D', 'R')
