import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { dumpSchema, findPgDump } from '../../schema/dump.ts';
import { migrationsFolder } from '../../schema/migrate.ts';
import { withShadow } from '../../schema/shadow.ts';
import { staleFiles, takeSnapshot, writeSnapshot, type Snapshot } from '../../schema/snapshot/index.ts';
import { action, exitCodes } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

const folder = path.join(migrationsFolder, 'snapshot');

export function snapshotCommand(): Command {
  return new Command('snapshot')
    .description('Write the schema as it stands to migrations/snapshot: tables.md, erd.mmd, erd.svg, schema.graphql, and schema.sql where a pg_dump of the server\'s version is at hand.')
    .option('--check', 'write nothing; exit code 1 when a file is stale')
    .action(action((context, { check = false }: { check?: boolean }) => onDatabase(context, async (database) => {
      demandShadow(database);
      const { printSdl } = await import('../../server/sdl.ts'); // the API takes a while to load; other commands do without
      return withShadow(database, { current: true }, async ({ url }) => {
        const snapshot: Snapshot = await takeSnapshot(url, await printSdl(url));
        const stale = staleFiles(folder, snapshot);
        if (check) {
          context.answer({ stale }, stale.length === 0 ? 'migrations/snapshot is as the migrations make it.' : `Stale: ${stale.join(', ')}. Run: agentflow db snapshot`);
          return stale.length === 0 ? exitCodes.ok : exitCodes.failure;
        }
        writeSnapshot(folder, snapshot);
        const program = await findPgDump(url);
        if (program !== null) writeFileSync(path.join(folder, 'schema.sql'), dumpSchema(program, url));
        context.answer({ written: stale, schemaSql: program !== null }, [
          stale.length === 0 ? 'Nothing changed in migrations/snapshot.' : `Written: ${stale.join(', ')}`,
          program === null ? 'schema.sql was left out: there is no pg_dump of this server\'s version.' : 'Written: schema.sql',
        ].join('\n'));
        return exitCodes.ok;
      });
    })));
}
