-- A call inside (select ...) is made once a statement; a bare one once a row, and it keeps indexes from being used.
select 'error' as level, format('%s on %s.%s', policyname, schemaname, tablename) as object, 'it calls a settings function for every row' as message,
  'Wrap the call: (select app_public.current_tenant_id())' as remedy
from pg_policies
where schemaname in ('app_public', 'app_private')
  and regexp_replace(coalesce(qual, '') || ' ' || coalesce(with_check, ''), '\( *SELECT (app_public\.|app_private\.)?(current_\w+|tenant_if_may|may|acts_by_key|may_\w+)\(', '(', 'g')
    ~ '\m(current_(tenant|user|api_key|setting|permissions)\w*|tenant_if_may|may|may_\w+|acts_by_key)\('
