import { Command } from 'commander';
import { fixtureDrift, liveDrift, type LiveDrift } from '../../schema/drift.ts';
import { describeDifference, type Difference } from '../../schema/fingerprint.ts';
import { action, exitCodes } from '../context.ts';
import { demandShadow } from '../open-database.ts';
import { onDatabase } from './work.ts';

export function driftCommand(): Command {
  return new Command('drift')
    .description('Do fixtures and migrations agree, and is the database what they say? Writes to the shadow only. Exit code 1 when something differs.')
    .option('--url <url>', 'look at this database instead of DATABASE_URL\'s; any login that may read the catalog')
    .option('--fixtures', 'compare the fixtures with the migrations only')
    .option('--live', 'compare the database with the migrations only')
    .action(action((context, { url, fixtures = false, live = false }: { url?: string; fixtures?: boolean; live?: boolean }) => onDatabase(context, async (database) => {
      demandShadow(database);
      const ofFixtures = live && !fixtures ? [] : await fixtureDrift(database);
      const ofDatabase = fixtures && !live ? null : await liveDrift(url ?? database.databaseUrl, database);
      const isClean = ofFixtures.length === 0 && (ofDatabase === null || isFree(ofDatabase));
      context.answer({ isClean, fixtures: ofFixtures, database: ofDatabase }, describe(ofFixtures, ofDatabase, isClean));
      return isClean ? exitCodes.ok : exitCodes.failure;
    })));
}

function isFree({ differences, history, roles }: LiveDrift): boolean {
  return differences.length === 0 && roles.length === 0 && history.every(({ state }) => state === 'PENDING');
}

function describe(fixtures: Difference[], live: LiveDrift | null, isClean: boolean): string {
  return [
    ...(fixtures.length === 0 ? [] : ['Fixtures say other than the migrations (include the fixture in current.sql, or take the edit back):', ...fixtures.map(describeDifference)]),
    ...(live === null || live.differences.length === 0 ? [] : ['The database is not what its migrations made (expected: the repository):', ...live.differences.map(describeDifference)]),
    ...(live?.history ?? []).map(({ filename, state }) => `${state} ${filename}`),
    ...(live?.roles ?? []),
    ...(isClean ? [`No drift${live?.withCurrent ? ' (current.sql, which ran on this database, included)' : ''}.`] : []),
  ].join('\n');
}
