/** The roles of the contract. They belong to the whole server, so no migration can hold them. */
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';

const attributes = {
  agentflow_owner: 'login',
  agentflow_authenticator: 'login noinherit',
  agentflow_worker: 'login',
  agentflow_visitor: 'nologin',
  agentflow_user: 'nologin',
  agentflow_operator: 'nologin',
} as const;

export type RoleName = keyof typeof attributes;
export const roleNames = Object.keys(attributes) as RoleName[];
export const apiRoles = ['agentflow_visitor', 'agentflow_user', 'agentflow_operator'] as const;

/** `member` may become `role`; with `inherits` it also has its rights without becoming it. */
interface Membership {
  role: RoleName;
  member: RoleName;
  inherits: boolean;
}

export const memberships: readonly Membership[] = [
  ...apiRoles.map((role) => ({ role, member: 'agentflow_authenticator' as const, inherits: false })),
  ...apiRoles.map((role) => ({ role, member: 'agentflow_owner' as const, inherits: false })),
  // Functions of the owner add jobs, and the tables of graphile_worker show themselves to their owner only.
  { role: 'agentflow_worker', member: 'agentflow_owner', inherits: true },
];

export type Passwords = Partial<Record<RoleName, string>>;

/** The statements that are needed, in order; empty when everything is as it should be. */
export async function missingRoleStatements(client: pg.Client, passwords: Passwords = {}): Promise<string[]> {
  const { rows: [server] } = await client.query<{ version: number; superuser: boolean; names: string[]; bypasses: boolean }>(`
    select current_setting('server_version_num')::int as version,
           (select rolsuper from pg_roles where rolname = current_user) as superuser,
           array(select rolname::text from pg_roles where rolname like 'agentflow\\_%') as names,
           exists (select from pg_roles where rolname = 'agentflow_owner' and (rolbypassrls or rolsuper)) as bypasses`);
  const { version, superuser, names, bypasses } = server!;
  const statements = roleNames.filter((name) => !names.includes(name)).map((name) => {
    const password = passwords[name];
    return `create role ${name} ${attributes[name]}${password === undefined ? '' : ` password ${client.escapeLiteral(password)}`}`;
  });
  if (superuser && !bypasses) statements.push('alter role agentflow_owner bypassrls');
  return [...statements, ...await missingGrants(client, version)];
}

/** Creates what is missing where the connected role may; otherwise throws ROLE_MISSING with the statements for someone who may. */
export async function ensureRoles(client: pg.Client, passwords: Passwords = {}): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const statements = await missingRoleStatements(client, passwords);
    if (statements.length === 0) return;
    try {
      await client.query(statements.join(';\n'));
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      // Roles are the whole server's: another database may have been prepared at the same moment.
      if ((code === '42710' || code === '23505' || code === 'XX000') && attempt < 5) continue;
      if (code !== '42501') throw error;
      const sql = await missingRoleStatements(client).then((list) => `${list.join(';\n')};`);
      throw new AgentFlowError('ROLE_MISSING', `Database roles or memberships are missing, and ${await currentUser(client)} may not create them.`, {
        remedy: `As a role that may (a superuser), run:\n${sql}`,
        details: { sql },
        cause: error,
      });
    }
  }
}

async function missingGrants(client: pg.Client, version: number): Promise<string[]> {
  const hasOptions = version >= 160000;
  const { rows } = await client.query<{ role: string; member: string; inherits: boolean; may_set: boolean }>(`
    select r.rolname as role, m.rolname as member,
           ${hasOptions ? 'bool_or(a.inherit_option)' : 'true'} as inherits, ${hasOptions ? 'bool_or(a.set_option)' : 'true'} as may_set
    from pg_auth_members a
    join pg_roles r on r.oid = a.roleid
    join pg_roles m on m.oid = a.member
    where m.rolname like 'agentflow\\_%'
    group by r.rolname, m.rolname`);
  const isThere = ({ role, member, inherits }: Membership): boolean =>
    rows.some((row) => row.role === role && row.member === member && row.may_set && (row.inherits || !inherits));
  return memberships.filter((membership) => !isThere(membership)).map(({ role, member, inherits }) =>
    `grant ${role} to ${member}${hasOptions ? ` with inherit ${inherits}, set true` : ''}`);
}

async function currentUser(client: pg.Client): Promise<string> {
  const { rows: [row] } = await client.query<{ name: string }>('select current_user as name');
  return row!.name;
}

/** Attributes and memberships that the contract does not give: each a sentence. Nobody needs to be able to mend them to be told. */
export async function roleProblems(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string; super: boolean; login: boolean; bypass: boolean; create_role: boolean; inherits: boolean }>(`
    select rolname::text as name, rolsuper as super, rolcanlogin as login, rolbypassrls as bypass, rolcreaterole as create_role, rolinherit as inherits
    from pg_roles where rolname = any ($1)`, [roleNames]);
  const missing = roleNames.filter((name) => !rows.some((row) => row.name === name)).map((name) => `role ${name} is missing`);
  const attributesOf = rows.flatMap((row) => {
    const isOwner = row.name === 'agentflow_owner';
    return [
      ...(row.super ? [`role ${row.name} is a superuser`] : []),
      ...(row.bypass && !isOwner ? [`role ${row.name} bypasses row-level security`] : []),
      ...(row.create_role && !isOwner ? [`role ${row.name} may create roles`] : []),
      ...(row.login !== (attributes[row.name as RoleName].split(' ')[0] === 'login') ? [`role ${row.name} ${row.login ? 'may' : 'may not'} log in`] : []),
      ...(row.name === 'agentflow_authenticator' && row.inherits ? [`role ${row.name} inherits`] : []),
    ];
  });
  // From PostgreSQL 16 on, who creates a role may grant it, without having or becoming it.
  const { rows: members } = await client.query<{ role: string; member: string }>(`
    select distinct r.rolname::text as role, m.rolname::text as member
    from pg_auth_members a
    join pg_roles r on r.oid = a.roleid
    join pg_roles m on m.oid = a.member
    where m.rolname = any ($1) and coalesce((to_jsonb(a) ->> 'inherit_option')::boolean or (to_jsonb(a) ->> 'set_option')::boolean, true)
    order by 1, 2`, [roleNames]);
  const given = (one: { role: string; member: string }): boolean => memberships.some(({ role, member }) => role === one.role && member === one.member);
  return [
    ...missing, ...attributesOf,
    ...members.filter((one) => !given(one)).map(({ role, member }) => `role ${member} is a member of ${role}`),
    ...memberships.filter((one) => !members.some(({ role, member }) => role === one.role && member === one.member)).map(({ role, member }) => `role ${member} is no member of ${role}`),
  ];
}
