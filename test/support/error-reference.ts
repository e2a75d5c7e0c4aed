/** docs/errors.md, from the registry. */
import { errorSections, type ErrorEntry } from '../../src/errors.ts';

const head = `# Errors

Made from \`src/errors.ts\`; do not edit it here. Every error of the API, of the command line and of an execution has one of these codes; a code never changes its meaning.
How they look in an answer: [api.md](api.md#errors).

*Where*: the HTTP status that a request gets which ends with it, before GraphQL or as the first error of one that could not be executed (inside of an executed operation
it is an entry of \`errors\`, beside \`data\`); the SQLSTATE with which PostgreSQL raises it, for whoever works in SQL. *Log only*: clients see \`INTERNAL\` and a request id.
`;

function row(code: string, { sqlstate, httpStatus, isPublic, summary, remedy }: ErrorEntry): string {
  const where = [`HTTP ${httpStatus}`, ...(sqlstate === null ? [] : [`SQL ${sqlstate}`]), ...(isPublic ? [] : ['log only'])].join(', ');
  return `| \`${code}\` | ${summary} | ${remedy.replaceAll('|', '\\|')} | ${where} |`;
}

export function errorReference(): string {
  const sections = Object.entries(errorSections).map(([title, entries]) => [
    `## ${title}`, '', '| code | means | what to do | where |', '|---|---|---|---|', ...Object.entries(entries).map(([code, entry]) => row(code, entry)), '',
  ].join('\n'));
  return [head, ...sections].join('\n');
}
