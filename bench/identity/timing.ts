/** Whether the time of a refused sign-in tells anything: wrong passwords for accounts that there are, that there are not, and that are disabled, in turn. */
import bcrypt from 'bcrypt';
import pg from 'pg';
import { startCommand } from '../support/api-processes.ts';
import type { OwnCluster } from '../support/own-cluster.ts';
import { median } from '../support/requests.ts';
import type { TableRow } from '../support/table.ts';
import { makeTenant } from './tenant.ts';

const kinds = ['known', 'unknown', 'disabled', 'no address'] as const;
type Kind = (typeof kinds)[number];

export async function signInTimes(cluster: OwnCluster, tries: number): Promise<TableRow[]> {
  const owner = new pg.Client({ connectionString: cluster.url('agentflow_owner') });
  await owner.connect();
  const { id } = await makeTenant(owner, 1);
  const hash = await bcrypt.hash('what nobody here will guess', 12);
  // One account a try: the eleventh wrong password of one would not be looked at.
  for (const status of ['active', 'inactive']) {
    await owner.query(`insert into app_public.users (email, name, password_hash, tenant_id, role, status)
      select $1 || n || '@example.com', 'n', $2, $3, 'viewer', $1 from generate_series(1, $4::int) as n`, [status, hash, id, tries + 2]);
  }
  const emailOf: Record<Kind, (turn: number) => string> = {
    known: (turn) => `active${turn}@example.com`, unknown: (turn) => `nobody${turn}@example.com`, disabled: (turn) => `inactive${turn}@example.com`,
    'no address': (turn) => `x${turn}`,
  };
  const server = await startCommand(cluster, 'server', { AGENTFLOW_RATE_TENANT: '0', AGENTFLOW_RATE_ADDRESS: '0' });
  const times: Record<string, number[]> = {};
  const answers = new Set<string>();
  try {
    for (let turn = 1; turn <= tries + 2; turn += 1) {
      await owner.query(`delete from app_private.sign_in_tries where kind = 'origin'`);
      for (const kind of shifted(turn)) {
        const [taken, answer] = await tried(server.url, emailOf[kind](turn), 'wrong');
        answers.add(answer);
        if (turn > 2) (times[kind] ??= []).push(taken); // the first two warm up
      }
    }
  } finally {
    await server.stop();
    await owner.end();
  }
  if (answers.size !== 1) throw new Error(`The answers differ: ${[...answers].join(' / ')}`);
  const base = median(times['known']!);
  return kinds.map((kind) => {
    const middle = median(times[kind]!);
    return { account: kind, tries, 'median ms': middle.toFixed(1), 'of known': (middle / base).toFixed(3), bar: '0.95 to 1.05', 'answers alike': 'yes' };
  });
}

/** Each kind comes in each place. */
function shifted(turn: number): Kind[] {
  const first = turn % kinds.length;
  return [...kinds.slice(first), ...kinds.slice(0, first)];
}

async function tried(url: string, email: string, password: string): Promise<[ms: number, answer: string]> {
  const body = JSON.stringify({ query: 'mutation ($email: String!, $password: String!) { authenticate(input: { email: $email, password: $password }) { jwt } }', variables: { email, password } });
  const begun = performance.now();
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const text = await response.text();
  return [performance.now() - begun, `${response.status} ${text}`];
}
