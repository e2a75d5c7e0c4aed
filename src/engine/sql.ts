/** Is a text exactly one SELECT? Answered by PostgreSQL's own parser. */
type Parse = (text: string) => { stmts?: unknown[] };

const writes: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const maxLength = 100_000;

/**
 * Functions that reach out of a read-only transaction when the login may do much: files and programs of the server, other databases and hosts, settings,
 * other sessions, locks that outlive it, SQL handed over as text. `pg_sleep` is not among them: time is bounded anyway.
 */
const reachingOut = new RegExp(`^(?:${[
  'pg_read_.*', 'pg_ls_.*', 'pg_stat_file', 'pg_file_.*', 'pg_logdir_ls', 'pg_current_logfile', 'pg_logfile_.*', 'pg_rotate_.*', 'pg_hba_file_rules', 'pg_ident_file_mappings', 'pg_show_all_file_settings',
  'lo_.*', 'loread', 'lowrite', 'dblink.*', 'postgres_fdw_.*', 'http', 'http_.*', 'table_import_from_s3', 'query_export_to_s3',
  'set_config', 'pg_reload_conf', 'pg_terminate_backend', 'pg_cancel_backend', 'pg_log_.*', 'pg_notify', 'pg_(?:try_)?advisory_.*',
  'pg_promote', 'pg_switch_.*', 'pg_wal_replay_.*', 'pg_backup_.*', 'pg_start_backup', 'pg_stop_backup', 'pg_create_.*', 'pg_drop_.*', 'pg_copy_.*', 'pg_replication_.*', 'pg_logical_.*', 'pg_sync_.*',
  'pg_export_snapshot', 'pg_import_.*', 'pg_stat_reset.*', 'pg_stat_statements_reset', 'pg_stat_force_.*', 'pg_prewarm', 'autoprewarm_.*', 'pg_truncate_.*', 'pg_nextoid', 'pg_extension_config_dump', 'binary_upgrade_.*', 'heap_force_.*', 'brin_.*summarize.*', 'gin_clean_pending_list', 'pg_set_.*', 'pg_clear_.*', 'pg_restore_.*',
  'query_to_xml.*', 'cursor_to_xml.*', 'table_to_xml.*', 'schema_to_xml.*', 'database_to_xml.*', 'crosstab.*', 'connectby', 'xpath_table', 'ts_stat', 'ts_rewrite',
].join('|')})$`);

/** Loads the parser (only who checks statements needs it); the function it gives says what is wrong with a statement, or null. */
export async function loadSelectChecker(): Promise<(text: string) => string | null> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  return (text) => selectProblem(text, parseSync);
}

function selectProblem(text: string, parse: Parse): string | null {
  if (text.length > maxLength) return `a statement is at most ${maxLength} characters long`;
  let statements: unknown[];
  try {
    statements = parse(text).stmts ?? [];
  } catch (error) {
    return (error as Error).message;
  }
  const [first] = statements as { stmt?: Record<string, unknown> }[];
  if (statements.length !== 1) return `exactly one statement is allowed, these are ${statements.length}`;
  if (!first?.stmt || !('SelectStmt' in first.stmt)) return 'only SELECT is allowed';
  return forbiddenPart(first.stmt);
}

function forbiddenPart(node: unknown): string | null {
  if (Array.isArray(node)) {
    for (const entry of node) {
      const found = forbiddenPart(entry);
      if (found !== null) return found;
    }
    return null;
  }
  if (typeof node !== 'object' || node === null) return null;
  for (const [key, value] of Object.entries(node)) {
    if (writes.has(key)) return 'a SELECT must not write';
    if (key === 'intoClause' && value) return 'SELECT INTO writes a table';
    if (key === 'lockingClause' && value) return 'a SELECT must not lock rows';
    const called = calledNames(key, value).find((name) => reachingOut.test(name));
    if (called !== undefined) return `the function ${called} must not be called`;
    const found = forbiddenPart(value);
    if (found !== null) return found;
  }
  return null;
}

/** Of a call, the function's name; of a path (`a.b`, `(a).b`), its steps: PostgreSQL takes those for functions of a value, too. */
function calledNames(key: string, value: unknown): string[] {
  const part = { FuncCall: 'funcname', ColumnRef: 'fields', A_Indirection: 'indirection' }[key];
  if (part === undefined) return [];
  const names = ((value as Record<string, unknown>)[part] ?? []) as { String?: { sval?: string } }[];
  const texts = names.flatMap(({ String: text }) => (text?.sval === undefined ? [] : [text.sval.toLowerCase()]));
  return key === 'A_Indirection' ? texts : texts.slice(key === 'FuncCall' ? -1 : 1);
}
