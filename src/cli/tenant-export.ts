/** `agentflow tenant export`: one archive (tar, gzip) of JSON lines, and a manifest that says what is in it. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, rmSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createGzip, type Gzip } from 'node:zlib';
import type pg from 'pg';
import { AgentFlowError } from '../errors.ts';
import { beginExport, endExport, type ExportedTable, exportedRows, exportedTables } from '../store/tenant-export.ts';
import { tarEnd, tarEntry } from './tar.ts';
import { version } from './version.ts';

export interface ExportSummary {
  file: string;
  rows: number;
  tables: Record<string, number>;
}

/** A table is cut into files of about so many bytes, each of whole lines. */
const fileBytes = 8 * 1024 * 1024;

interface WrittenFile { name: string; rows: number; sha256: string }

/** Throws USAGE for a file that is there or cannot be made, and NOT_FOUND. A broken-off archive is taken away. */
export async function exportTenant(client: pg.ClientBase, slug: string, file: string): Promise<ExportSummary> {
  const tenant = await beginExport(client, slug);
  if (tenant === null) throw new AgentFlowError('NOT_FOUND', `There is no tenant ${slug}.`, { remedy: 'See: agentflow tenant list' });
  const out = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  try {
    await once(out, 'open');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new AgentFlowError('USAGE', code === 'EEXIST' ? `${file} is there already.` : `${file} cannot be written: ${message}`, { remedy: 'Name another file.', cause: error });
  }
  const archive = createGzip();
  archive.pipe(out);
  const exportedAt = new Date();
  try {
    const tables = [];
    for (const table of await exportedTables(client)) tables.push({ ...table, files: await writeTable(client, archive, table, tenant.id, exportedAt) });
    const manifest = { format: 'agentflow tenant export', formatVersion: 1, agentflow: version, exportedAt, tenant, tables };
    await write(archive, tarEntry('manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`), exportedAt));
    await write(archive, tarEnd);
    archive.end();
    await finished(out);
    const counts = Object.fromEntries(tables.map(({ name, files }) => [name, files.reduce((sum, { rows }) => sum + rows, 0)]));
    const rows = Object.values(counts).reduce((sum, count) => sum + count, 0);
    await endExport(client, tenant.id, rows);
    return { file, rows, tables: counts };
  } catch (error) {
    archive.destroy();
    out.destroy();
    rmSync(file, { force: true });
    throw error;
  }
}

async function writeTable(client: pg.ClientBase, archive: Gzip, table: ExportedTable, tenantId: string, at: Date): Promise<WrittenFile[]> {
  const files: WrittenFile[] = [];
  let lines: string[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    const content = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const name = `${table.name}${files.length === 0 ? '' : `.${files.length + 1}`}.jsonl`;
    files.push({ name, rows: lines.length, sha256: createHash('sha256').update(content).digest('hex') });
    await write(archive, tarEntry(name, content, at));
    [lines, size] = [[], 0];
  };
  for await (const more of exportedRows(client, table, tenantId)) {
    for (const line of more) {
      lines.push(line);
      size += line.length;
      if (size >= fileBytes) await flush();
    }
  }
  if (lines.length > 0 || files.length === 0) await flush();
  return files;
}

async function write(archive: Gzip, chunk: Buffer): Promise<void> {
  if (!archive.write(chunk)) await once(archive, 'drain');
}
