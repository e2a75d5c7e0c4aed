/** What identity and audit cost. `audit`: writes with the audit log and without. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { auditCost } from './identity/audit.ts';
import { bleed } from './identity/bleed.ts';
import { auditedChanges } from './identity/changes.ts';
import { keyLookups } from './identity/keys.ts';
import { requestsByIdentity } from './identity/requests.ts';
import { sealing } from './identity/sealing.ts';
import { signInTimes } from './identity/timing.ts';
import { withOwnCluster } from './support/own-cluster.ts';
import { printJson, printTable, type TableRow } from './support/table.ts';

export const usage = `npm run bench -- identity [audit|keys|requests|bleed|sealing|timing|changes ...] [--long] [--json]
  audit     writes with the audit log and without: single rows and a thousand at a time, by one client and by sixteen
  keys      looking up an API key among many (--long: a million)
  requests  requests over HTTP by a token, by a key, and by nobody
  bleed     many clients of many tenants over five connections: rows that are not theirs (--long: 200 clients, 200,000 requests; --pgbouncer PROGRAM: again through it, in transaction mode)
  sealing   sealing and checking the audit chain (--long: 100,000 rows), and which row a changed byte is found in
  timing    sign-ins that are refused, for accounts that there are and that there are not: do their times differ? (--long: 100 of each)
  changes   changes of one tenant with rollbacks, refusals and killed connections: does the audit log lead to the rows as they are? (--long: 10,000)
None named: all of them.`;

const names = ['audit', 'keys', 'requests', 'bleed', 'sealing', 'changes', 'timing'] as const;
type Part = (typeof names)[number];

export async function run(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { long: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, pgbouncer: { type: 'string' } } });
  const { long, json, pgbouncer } = values;
  const wrong = positionals.filter((name) => !names.includes(name as Part));
  if (wrong.length > 0 || (pgbouncer !== undefined && !existsSync(pgbouncer))) {
    process.stderr.write(`There is no ${wrong.length > 0 ? `part ${wrong.join(', ')}` : `program ${pgbouncer}`}.\n${usage}\n`);
    process.exit(2);
  }
  const results: Record<string, TableRow[]> = {};
  await withOwnCluster({}, async (cluster) => {
    const parts: Record<Part, () => Promise<TableRow[]>> = {
      audit: () => auditCost(cluster, long ? { rounds: 5, seconds: 5 } : { rounds: 3, seconds: 2 }),
      keys: () => keyLookups(cluster, long ? 1_000_000 : 20_000),
      requests: () => requestsByIdentity(cluster, long ? { rounds: 5, seconds: 5 } : { rounds: 3, seconds: 2 }),
      bleed: () => bleed(cluster, { ...(long ? { clients: 200, tenants: 50, requests: 200_000 } : { clients: 40, tenants: 10, requests: 5_000 }), pgbouncer: pgbouncer ?? null }),
      sealing: () => sealing(cluster, long ? 100_000 : 10_000),
      changes: () => auditedChanges(cluster, long ? 10_000 : 1_000),
      timing: () => signInTimes(cluster, long ? 100 : 20),
    };
    for (const name of positionals.length > 0 ? positionals as Part[] : names) {
      const rows = await parts[name]();
      results[name] = rows;
      if (rows.some(isBroken)) process.exitCode = 1;
      if (!json) {
        process.stdout.write(`\n${name}\n`);
        printTable(rows);
      }
    }
  });
  if (json) printJson(results);
}

/** A promise that was not kept; figures of speed are for people to judge. */
function isBroken(row: TableRow): boolean {
  return Number(row['foreign rows'] ?? 0) > 0 || Number(row['mismatches'] ?? 0) > 0 || row['named exactly'] === 'NO';
}
