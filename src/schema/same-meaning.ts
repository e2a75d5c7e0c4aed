/**
 * PostgreSQL prints the body of a standard-SQL function from its parse tree, and prints it a little differently once it went
 * through a dump: `a between 1 and 2` loses a pair of parentheses, a column without a name gets one. Equal trees mean the same.
 */
import { loadModule, parseSync } from 'libpg-query';

await loadModule();

/** Two descriptions of one function, as the fingerprint holds them. */
export function haveSameMeaning(one: string, other: string): boolean {
  const [left, right] = [split(one), split(other)];
  if (left === null || right === null || left.rest !== right.rest) return false;
  return treeOf(left.definition) === treeOf(right.definition);
}

/** Only where the body is a parse tree: the text of others is as somebody wrote it. */
function split(text: string): { definition: string; rest: string } | null {
  const match = /^(?<owner>[^\n]*\n)(?<definition>CREATE OR REPLACE [\s\S]*?)(?<rest>\n(?:grant execute|comment )[\s\S]*)?$/.exec(text)?.groups;
  if (!match || !/^(?: *RETURN |BEGIN ATOMIC)/m.test(match['definition']!)) return null;
  return { definition: match['definition']!, rest: `${match['owner']}${match['rest'] ?? ''}` };
}

function treeOf(sql: string): string {
  return JSON.stringify(parseSync(sql), (key, value: unknown) => {
    if (/(^|_)location$|list_(?:start|end)$/.test(key) || key === 'stmt_len') return undefined;
    if (key === 'ResTarget') return withoutNameOfType(value as ResTarget);
    return value;
  });
}

interface ResTarget { name?: string; val?: { TypeCast?: { typeName?: { names?: { String?: { sval?: string } }[] } } } }

/** `'x'::text` and `'x'::text as text` are one: the name is the type's in any case. */
function withoutNameOfType(target: ResTarget): ResTarget {
  const type = target.val?.TypeCast?.typeName?.names?.at(-1)?.String?.sval;
  return target.name !== undefined && target.name === type ? { ...target, name: undefined } : target;
}
