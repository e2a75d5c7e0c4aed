/** What somebody would write who wants more of a database than rows. */

/** Statements that change something, reach out, or read what is no table. */
export const statements: readonly string[] = [
  'delete from products', 'update products set price = 0', "insert into products values (99, 'x')", 'truncate products', 'drop table products', 'drop schema public cascade',
  'create table stolen as select * from products', 'select * into stolen from products', 'alter table products add column x int', 'alter table products owner to current_user', 'grant all on products to public',
  'create role intruder superuser login', 'alter role current_user createdb', 'create extension dblink', 'create function f() returns int language sql as $$ select 1 $$', "do $$ begin delete from products; end $$", 'call nothing()',
  "copy products to program 'touch /tmp/agentflow-attack'", "copy products from '/etc/passwd'", "copy (select 1) to '/tmp/agentflow-attack'", "set session authorization default", 'set role postgres', "set transaction read write", 'set statement_timeout = 0', 'reset all', 'discard all',
  'begin; delete from products; commit', 'commit', 'rollback', 'savepoint s', "prepare p as delete from products", 'execute p', 'declare c cursor with hold for select 1', 'listen attack', "notify attack, 'x'", 'lock table products', 'vacuum products', 'analyze products', 'reindex table products', 'cluster', 'checkpoint', "load 'x'", 'refresh materialized view v', "comment on table products is 'x'", "security label on table products is 'x'",
  'with gone as (delete from products returning *) select * from gone', "with new as (insert into products values (98, 'x') returning *) select * from new", 'with changed as (update products set price = 1 returning *) select * from changed', 'merge into products using products as p on true when matched then delete', 'select * from products for update', 'select * from products for share', 'explain analyze delete from products', 'table products for update', 'values (1); delete from products',
  "select pg_read_file('/etc/passwd')", "select pg_catalog.pg_read_file('/etc/passwd')", 'select "pg_read_file"(\'/etc/passwd\')', 'select U&"pg\\005fread_file"(\'/etc/passwd\')', "select * from pg_read_file('/etc/passwd')", "select pg_read_binary_file('/etc/passwd')", "select pg_ls_dir('/')", "select * from pg_ls_dir('.')", 'select pg_ls_logdir()', "select (pg_stat_file('/etc/passwd')).size", "select * from rows from (pg_ls_dir('/'), generate_series(1, 3))",
  "select lo_import('/etc/passwd')", "select lo_export(1, '/tmp/agentflow-attack')", "select lo_create(0)", "select lo_from_bytea(0, 'x')", "select lo_put(1, 0, 'x')", 'select lo_unlink(1)',
  "select dblink('host=127.0.0.1 port=PORT', 'delete from products')", "select dblink_connect('host=127.0.0.1 port=PORT')", "select * from dblink('host=127.0.0.1 port=PORT', 'select 1') as t (a int)",
  "select set_config('transaction_read_only', 'off', false)", "select set_config('role', 'postgres', false)", "select set_config('statement_timeout', '0', false)", "select pg_catalog.set_config('search_path', 'stolen', false)", "select SET_CONFIG('log_statement', 'all', false)",
  "select query_to_xml('delete from products', true, true, '')", "select query_to_xml_and_xmlschema('drop table products', true, true, '')", "select cursor_to_xml('c', 1, true, true, '')", "select database_to_xml(true, true, '')", "select schema_to_xml('public', true, true, '')", "select table_to_xml('products', true, true, '')",
  'select pg_terminate_backend(pid) from pg_stat_activity', 'select pg_cancel_backend(pid) from pg_stat_activity', 'select pg_reload_conf()', 'select pg_rotate_logfile()', 'select pg_switch_wal()', 'select pg_promote()', "select pg_create_restore_point('x')", "select pg_create_physical_replication_slot('attack')", "select pg_create_logical_replication_slot('attack', 'test_decoding')", "select pg_drop_replication_slot('attack')", "select pg_backup_start('x')", 'select pg_export_snapshot()', 'select pg_stat_reset()', "select pg_stat_reset_shared('bgwriter')", "select pg_logical_emit_message(false, 'a', 'b')", "select pg_replication_origin_create('attack')", 'select pg_log_backend_memory_contexts(1)', "select pg_import_system_collations('pg_catalog')",
  'select pg_advisory_lock(1)', 'select pg_try_advisory_lock(1)', 'select pg_advisory_lock_shared(2)', "select pg_notify('attack', 'x')", "select nextval('tickets')", "select setval('tickets', 1000)",
  "select ts_stat('delete from products')", "select ts_rewrite('a'::tsquery, 'select a, b from x')", "select crosstab('delete from products')", "select ('/etc/passwd'::text).pg_read_file", "select v.pg_read_file from (select '/etc/passwd'::text as v) as s", "select (select pg_read_file('/etc/passwd'))", "select case when true then pg_read_file('/etc/passwd') end", "select 1 where pg_read_file('/etc/passwd') is not null", "select 1 order by pg_ls_dir('/')", "select 1 group by lo_create(0)", "select count(*) filter (where set_config('role', 'postgres', false) is not null)", "select 1 limit (select length(pg_read_file('/etc/passwd')))", "select sum(1) over (order by pg_read_file('/etc/passwd'))", "with x as (select pg_read_file('/etc/passwd') as f) select f from x", "select 1 union select lo_create(0)::int", "select array[pg_read_file('/etc/passwd')]", "select row(pg_read_file('/etc/passwd'))", "select coalesce(pg_read_file('/etc/passwd'), 'x')", "select * from products tablesample system (length(pg_read_file('/etc/passwd')))", "values (pg_read_file('/etc/passwd'))", "select xmlelement(name a, pg_read_file('/etc/passwd'))", "select * from products, lateral pg_ls_dir('/')",
];

/** Ways out of the place of a value. */
const ways: readonly ((statement: string) => string)[] = [
  (statement) => `'; ${statement}; --`, (statement) => `1; ${statement}`, (statement) => `' or 1 = 1; ${statement}; /*`, (statement) => `$$; ${statement}; $$`, (statement) => `\\'; ${statement}; --`,
  (statement) => `%' union select null; ${statement} --`, (statement) => `"; ${statement}; --`, (statement) => `*/ ${statement} /*`, (statement) => `') ; ${statement} --`, (statement) => `\n; ${statement}\n`,
];

/** Each statement in one way, all ways in turn. */
export const values: readonly string[] = statements.map((statement, index) => ways[index % ways.length]!(statement));

/** Places of a template where a value stands. */
export const places: readonly string[] = [
  "select * from products where name = '{value}'", 'select * from products where name = {value}::text', "select * from products where name like '%{value}%'", 'select * from products where name = :value',
  "select * from products where name = E'a\\'{value}'", "select * from products where name in ('{value}', {value}::text) order by id limit 5",
];
