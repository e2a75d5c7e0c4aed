select 'policy' as kind, format('%s on %s', p.polname, p.polrelid::regclass) as name, 0 as place,
  concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end,
    case p.polcmd when 'r' then 'for select' when 'a' then 'for insert' when 'w' then 'for update' when 'd' then 'for delete' else 'for all' end,
    'to ' || (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, ', ' order by r::text) from unnest(p.polroles) r),
    'using (' || pg_get_expr(p.polqual, p.polrelid) || ')', 'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')',
    'comment ' || quote_literal(obj_description(p.oid, 'pg_policy'))) as text
from pg_policy p
join pg_class c on c.oid = p.polrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and not c.relispartition
