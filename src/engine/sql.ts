/** Is a text exactly one SELECT? Answered by PostgreSQL's own parser. */
type Parse = (text: string) => { stmts?: unknown[] };

const writes: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const maxLength = 100_000;

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
    const found = forbiddenPart(value);
    if (found !== null) return found;
  }
  return null;
}
