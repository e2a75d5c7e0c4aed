/** docs/roles.md says what the database does. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { roleNames } from '../../../src/schema/roles.ts';
import { projectFolder } from '../../../src/schema/migrate.ts';
import { useTestDatabase } from '../../support/database.ts';
import { rolesOfUsers } from '../support/plant.ts';

const db = useTestDatabase();
const page = readFileSync(path.join(projectFolder, 'docs', 'roles.md'), 'utf8');

/** The cells of the table under a heading, without backticks. */
function tableUnder(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]!.split('\n## ')[0]!;
  return section.split('\n').filter((line) => line.startsWith('|')).slice(2).map((line) => line.split('|').slice(1, -1).map((cell) => cell.replaceAll('`', '').trim()));
}

test('the roles are there, in their order', async () => {
  const names = tableUnder('Roles of a tenant').map(([name]) => name!);
  expect(names).toEqual([...rolesOfUsers]);
  const { rows } = await db.owner.query<{ rank: number }>('select app_private.role_rank(name) as rank from unnest($1::text[]) with ordinality as role (name, position) order by position', [names]);
  expect(rows.map(({ rank }) => rank)).toEqual([1, 2, 3, 4, 5]);
});

test('each right has the role and the permission of the page', async () => {
  const rights = tableUnder('Rights');
  expect(rights).toHaveLength(16);
  const { rows } = await db.owner.query<{ wanted: string; role: string; needs: string[] | null }>(
    'select wanted, app_private.least_role(wanted) as role, app_private.key_permission(wanted) as needs from unnest($1::text[]) with ordinality as asked (wanted, position) order by position', [rights.map(([right]) => right)]);
  expect(rights).toEqual(rows.map(({ wanted, role, needs }) => [wanted, role, needs === null ? 'never by key' : `${wanted.split(':')[0]}: ${needs.join(', ')}`]));
});

test('the page knows every right', async () => {
  const { rows: [row] } = await db.owner.query<{ body: string }>(`select pg_get_function_sqlbody('app_private.least_role'::regproc) as body`);
  const known = [...row!.body.matchAll(/WHEN '([^']+)'::text/g)].map((match) => match[1]);
  expect(new Set(tableUnder('Rights').map(([right]) => right))).toEqual(new Set(known));
});

test('the database roles are those of the page, and log in as it says', async () => {
  const { rows } = await db.owner.query<{ name: string; login: boolean }>('select rolname as name, rolcanlogin as login from pg_roles where rolname = any ($1)', [roleNames]);
  const expected = Object.fromEntries(rows.map(({ name, login }) => [name, login ? 'yes' : 'no']));
  expect(Object.fromEntries(tableUnder('Database roles').map(([name, login]) => [name, login]))).toEqual(expected);
});

test('the example of the page runs', async () => {
  const example = page.split('```sql\n')[1]!.split('```')[0]!;
  const results = await db.owner.query(example) as unknown as { command: string }[];
  expect(results.map(({ command }) => command)).toEqual(['BEGIN', 'SET', 'SET', 'SET', 'SET', 'SELECT', 'ROLLBACK']);
});
