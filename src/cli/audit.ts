import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { Writable } from 'node:stream';
import { Command, InvalidArgumentError } from 'commander';
import { AgentFlowError } from '../errors.ts';
import { auditLines, latestAudit, type AuditFilter } from '../store/audit.ts';
import { actAs, actingOptions, type ActingOptions } from './acting.ts';
import { action } from './context.ts';
import { table } from './table.ts';
import { parseTime } from './times.ts';

export function auditCommands(): Command {
  return new Command('audit')
    .description('The audit log of a tenant, as an admin of it reads it. `agentflow verify` checks that nobody has changed it.')
    .addCommand(listCommand())
    .addCommand(exportCommand());
}

interface AuditOptions extends ActingOptions {
  from?: string;
  to?: string;
  action?: string;
  entity?: string;
  by?: string;
}

function filtered(command: Command): Command {
  return actingOptions(command)
    .option('--from <time>', 'from this time on, e.g. 2026-01-31', parseTime)
    .option('--to <time>', 'before this time', parseTime)
    .option('--action <name>', 'e.g. create, publish, sign_in, refuse')
    .option('--entity <type>', 'e.g. workflow, user, api_key')
    .option('--by <email>', 'what this user did');
}

const filterOf = ({ from, to, action: name, entity, by }: AuditOptions): AuditFilter =>
  ({ from: from ?? null, to: to ?? null, action: name ?? null, entityType: entity ?? null, userEmail: by ?? null });

function listCommand(): Command {
  return filtered(new Command('list'))
    .option('--last <count>', 'so many rows', parseCount, 20)
    .description('The newest rows.')
    .action(action<AuditOptions & { last: number }>((context, options) => actAs(context, options, async ({ transaction }) => {
      const rows = await transaction((client) => latestAudit(client, filterOf(options), options.last));
      const shown = rows.map((row) => ['created_at', 'user_email', 'action', 'entity_type', 'entity_id', 'ip_address'].map((column) => String(row[column] ?? '')));
      context.answer(rows, table(['when', 'who', 'action', 'entity', 'id', 'from'], shown));
    })));
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1_000) throw new InvalidArgumentError('a whole number from 1 to 1000 is expected.');
  return count;
}

function exportCommand(): Command {
  return filtered(new Command('export'))
    .option('--out <file>', 'write into this new file (default: standard output)')
    .description('All rows as JSON lines, oldest first, of one moment.')
    .action(action<AuditOptions & { out?: string }>((context, options) => actAs(context, options, async ({ transaction }) => {
      const { out } = options;
      const count = await transaction(async (client) => {
        let written = 0;
        const target = await openTarget(out);
        for await (const lines of auditLines(client, filterOf(options))) {
          await write(target, `${lines.join('\n')}\n`);
          written += lines.length;
        }
        if (out !== undefined) await finish(target);
        return written;
      });
      if (out === undefined) context.say(`${count} rows`);
      else context.answer({ file: out, rows: count }, `${count} rows are in ${out}.`);
    })));
}

/** Throws USAGE for a file that is there already, or cannot be made. */
async function openTarget(file: string | undefined): Promise<Writable> {
  if (file === undefined) return process.stdout;
  const stream = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  try {
    await once(stream, 'open');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new AgentFlowError('USAGE', code === 'EEXIST' ? `${file} is there already.` : `${file} cannot be written: ${message}`, { remedy: 'Name another file.', cause: error });
  }
  return stream;
}

async function write(target: Writable, text: string): Promise<void> {
  if (!target.write(text)) await once(target, 'drain');
}

async function finish(target: Writable): Promise<void> {
  target.end();
  await once(target, 'finish');
}
