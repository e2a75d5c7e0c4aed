-- Permissive policies of one command are joined by OR: each widens the other, and all of them are asked for every row.
select 'warning' as level, format('%s.%s for %s', schemaname, tablename, lower(cmd)) as object,
  format('%s stand side by side', string_agg(policyname, ' and ' order by policyname)) as message, 'Say it in one policy, or make the narrower ones restrictive.' as remedy
from pg_policies
where schemaname in ('app_public', 'app_private') and permissive = 'PERMISSIVE'
group by schemaname, tablename, cmd, roles
having count(*) > 1
