select 'trigger' as kind, format('%s on %s', t.tgname, t.tgrelid::regclass) as name, 0 as place,
  concat_ws(', ', pg_get_triggerdef(t.oid),
    case t.tgenabled when 'D' then 'disabled' when 'R' then 'on replicas only' when 'A' then 'always' end,
    'comment ' || quote_literal(obj_description(t.oid, 'pg_trigger'))) as text
from pg_trigger t
join pg_class c on c.oid = t.tgrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and not t.tgisinternal and not c.relispartition
union all
select 'event trigger', e.evtname, 0, format('on %s%s, %s', e.evtevent, ' when ' || array_to_string(e.evttags, ', '), e.evtfoid::regprocedure)
from pg_event_trigger e
join pg_proc f on f.oid = e.evtfoid
join pg_namespace n on n.oid = f.pronamespace
where n.nspname = any ($1)
union all
select 'rule', format('%s on %s', r.rulename, r.ev_class::regclass), 0, pg_get_ruledef(r.oid)
from pg_rewrite r
join pg_class c on c.oid = r.ev_class
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = any ($1) and r.rulename <> '_RETURN'
