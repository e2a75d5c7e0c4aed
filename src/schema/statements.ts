/** What kinds of statements a text holds, by PostgreSQL's own parser. A text with a syntax error holds none: running it tells. */
import { loadModule, parseSync } from 'libpg-query';

await loadModule();

interface Parsed { kind: string; node: Record<string, unknown>; start: number }

interface RangeVar { schemaname?: string; relname?: string }

/** Statements that end or divide the transaction in which a migration runs as a whole. */
export function transactionStatements(sql: string): { start: number; text: string }[] {
  if (!/(^|;|\*\/)\s*(begin|commit|end|rollback|savepoint|release|abort|start|prepare)\b/im.test(withoutBodies(sql))) return []; // most texts need no parser
  return statementsOf(sql).filter(({ kind }) => kind === 'TransactionStmt').map(({ start }) => ({ start, text: /^[^;\n]*/.exec(sql.slice(start))![0].trim() }));
}

/** What the statements do to rows that are there, a sentence each. What functions do is not seen. */
export function rowStatements(sql: string): string[] {
  const verbs: Record<string, string> = { DeleteStmt: 'deletes rows of', UpdateStmt: 'changes rows of', TruncateStmt: 'empties' };
  return statementsOf(sql).flatMap(({ kind, node }) => {
    const verb = verbs[kind];
    if (verb === undefined) return [];
    const tables = kind === 'TruncateStmt' ? (node['relations'] as { RangeVar: RangeVar }[]).map(({ RangeVar: table }) => table) : [node['relation'] as RangeVar];
    return tables.map(({ schemaname, relname }) => `it ${verb} ${[schemaname, relname].filter((name) => name !== undefined).join('.')}`);
  });
}

function statementsOf(sql: string): Parsed[] {
  let stmts: { stmt: Record<string, Record<string, unknown>>; stmt_location?: number }[] | undefined;
  try {
    ({ stmts } = parseSync(sql) as { stmts?: typeof stmts });
  } catch (error) {
    if ((error as Error).name === 'SqlError') return [];
    throw error;
  }
  const bytes = Buffer.from(sql, 'utf8');
  return (stmts ?? []).map(({ stmt, stmt_location: location = 0 }) => {
    const [kind, node] = Object.entries(stmt)[0]!;
    const before = bytes.subarray(0, location).toString('utf8').length;
    return { kind, node, start: before + /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(sql.slice(before))![0].length };
  });
}

function withoutBodies(sql: string): string {
  return sql.replace(/\$(\w*)\$[\s\S]*?\$\1\$/g, '');
}
