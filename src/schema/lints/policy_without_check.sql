-- Without WITH CHECK, what may be written is whatever USING happens to say, and nothing at all for an INSERT.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object, 'it lets write and has no with check' as message,
  format('alter policy %I on %I.%I with check (...);', policyname, schemaname, tablename) as remedy
from pg_policies
where schemaname in ('app_public', 'app_private') and cmd in ('INSERT', 'UPDATE', 'ALL') and with_check is null
