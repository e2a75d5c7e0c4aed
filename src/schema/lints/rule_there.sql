-- A rule rewrites statements with the rights of the table's owner, past the policies of the caller.
select 'error' as level, format('%s on %s.%s', rulename, schemaname, tablename) as object, 'rules act with the owner''s rights and are found by nobody' as message,
  format('drop rule %I on %I.%I; and write a trigger', rulename, schemaname, tablename) as remedy
from pg_rules
where schemaname in ('app_public', 'app_private')
