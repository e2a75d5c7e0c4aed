/**
 * What other people's tools say about the schema and its API: `npm run judges`, `npm run judges -- relay eslint`.
 * Tools that are not packages of the project are installed once, on demand, into node_modules/.cache; what a machine lacks is named.
 * Exit code 1 when a judge finds something.
 */
import '../../bench/support/only-own-databases.ts';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startEmbedded } from '../../src/embedded/index.ts';
import { withClient } from '../../src/schema/connection.ts';
import { migrationsFolder, projectFolder, runCurrent } from '../../src/schema/migrate.ts';
import { namesIn } from '../../bench/support/words.ts';
import { findFullPostgres } from '../support/debian-postgres.ts';
import { sampleStatements } from '../support/samples.ts';
import { copFindings, numberOfQuestions } from './cop.ts';
import { pgtapScript } from './pgtap-script.ts';
import { splinterFindings } from './splinter.ts';

interface Verdict {
  /** Null: the tool is not to be had here; `text` says what would bring it. */
  findings: number | null;
  text: string;
}

const sdlFile = path.join(migrationsFolder, 'snapshot', 'schema.graphql');
const cache = path.join(projectFolder, 'node_modules', '.cache', 'judges');

/** Pinned versions, installed beside each other. Returns the folder. */
function install(name: string, packages: string[], overrides: Record<string, string> = {}): string {
  const folder = path.join(cache, name);
  const mark = path.join(folder, '.installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === packages.join(' ')) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, overrides }));
  const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`npm could not install ${packages.join(', ')}.`);
  writeFileSync(mark, packages.join(' '));
  return folder;
}

const relayClient = path.join(projectFolder, 'test', 'clients', 'relay');

/** What the compiler makes for the client tests: written where they look for it, when it is not what is there. Returns how many files differed. */
function keepArtifacts(made: string): string[] {
  const kept = path.join(relayClient, '__generated__');
  const names = readdirSync(made).filter((name) => name.startsWith('documents'));
  const changed = names.filter((name) => !existsSync(path.join(kept, name)) || readFileSync(path.join(made, name), 'utf8') !== readFileSync(path.join(kept, name), 'utf8'));
  for (const name of changed) cpSync(path.join(made, name), path.join(kept, name));
  return changed.map((name) => `test/clients/relay/__generated__/${name} was not what the compiler makes, and is now: commit it`);
}

/** Does Relay's compiler take the schema, with connections, the node interface and fragments on it? */
function relay(): Verdict {
  const folder = install('relay', ['relay-compiler@21.0.1']);
  const work = mkdtempSync(path.join(os.tmpdir(), 'agentflow-relay-'));
  try {
    mkdirSync(path.join(work, 'src'));
    writeFileSync(path.join(work, 'src', 'List.js'), `graphql\`
      fragment List_query on Query @argumentDefinitions(first: {type: "Int", defaultValue: 10}, after: {type: "Cursor"}) @refetchable(queryName: "ListPaginationQuery") {
        workflows(first: $first, after: $after) @connection(key: "List_workflows") { edges { node { globalId id name ...Row_workflow } } }
      }\`;\n`);
    writeFileSync(path.join(work, 'src', 'Row.js'), 'graphql`fragment Row_workflow on Workflow { id name status executions(first: 5) { nodes { id status } } }`;\n');
    cpSync(path.join(relayClient, 'documents.js'), path.join(work, 'src', 'documents.js'));
    const config = { src: './src', schema: sdlFile, language: 'javascript', eagerEsModules: true, noFutureProofEnums: true, schemaConfig: { nodeInterfaceIdField: 'globalId', nodeInterfaceIdVariableName: 'globalId' } };
    writeFileSync(path.join(work, 'relay.config.json'), JSON.stringify(config));
    const run = spawnSync(process.execPath, [path.join(folder, 'node_modules', 'relay-compiler', 'cli.js'), 'relay.config.json'], { cwd: work, encoding: 'utf8' });
    const text = `${run.stdout}${run.stderr}`.trim().split('\n').slice(-12).join('\n');
    if (run.status !== 0) return { findings: 1, text };
    const changed = keepArtifacts(path.join(work, 'src', '__generated__'));
    return { findings: changed.length, text: [text, ...changed].join('\n') };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** graphql-eslint's rules for schemas: Relay's conventions, names, descriptions, no types that nothing reaches. */
function eslint(): Verdict {
  const folder = install('eslint', ['eslint@9.39.1', '@graphql-eslint/eslint-plugin@4.4.1', 'graphql@16.15.0'], { '@graphql-tools/batch-execute': '10.2.0' });
  writeFileSync(path.join(folder, 'schema.graphql'), readFileSync(sdlFile));
  writeFileSync(path.join(folder, 'eslint.config.mjs'), `import plugin from '@graphql-eslint/eslint-plugin';
    export default [{
      files: ['schema.graphql'], plugins: { '@graphql-eslint': plugin }, languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: 'schema.graphql' } } },
      rules: {
        '@graphql-eslint/known-type-names': 'error', '@graphql-eslint/known-directives': 'error', '@graphql-eslint/unique-type-names': 'error', '@graphql-eslint/unique-field-definition-names': 'error',
        '@graphql-eslint/no-unreachable-types': 'error', '@graphql-eslint/no-typename-prefix': 'off', '@graphql-eslint/unique-enum-value-names': 'error', '@graphql-eslint/require-deprecation-reason': 'error',
        '@graphql-eslint/require-type-pattern-with-oneof': 'error', '@graphql-eslint/no-scalar-result-type-on-mutation': 'error', '@graphql-eslint/relay-page-info': 'error', '@graphql-eslint/relay-arguments': ['error', { includeBoth: false }],
        '@graphql-eslint/relay-connection-types': 'error', '@graphql-eslint/require-description': ['error', { types: true, rootField: true }],
        '@graphql-eslint/naming-convention': ['error', { types: 'PascalCase', FieldDefinition: 'camelCase', InputValueDefinition: { style: 'camelCase', ignorePattern: '^_' }, EnumValueDefinition: { style: 'UPPER_CASE' } }],
      } }];`);
  const run = spawnSync(process.execPath, [path.join(folder, 'node_modules', 'eslint', 'bin', 'eslint.js'), 'schema.graphql', '--format', 'json'], { cwd: folder, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (!run.stdout.startsWith('[')) return { findings: 1, text: run.stderr };
  const messages = (JSON.parse(run.stdout) as { messages: { line: number; ruleId: string; message: string }[] }[]).flatMap((file) => file.messages);
  return { findings: messages.length, text: messages.slice(0, 30).map(({ line, ruleId, message }) => `schema.graphql:${line} ${ruleId}: ${message}`).join('\n') };
}

/** A server with contrib and extensions, as Debian has it, with the schema and the sample rows. */
async function onFullPostgres(use: (url: string, bin: string, superuserUrl: string) => Promise<Verdict>): Promise<Verdict> {
  const full = findFullPostgres();
  if (full === null) return { findings: null, text: 'there is no PostgreSQL with its programs here (Debian: apt-get install postgresql)' };
  const dataDir = mkdtempSync(path.join(os.tmpdir(), 'agentflow-judges-'));
  const server = await startEmbedded({ dataDir, packageFolder: full.packageFolder, durable: false });
  try {
    await runCurrent({ databaseUrl: server.url('agentflow_owner'), rootUrl: server.url('postgres', 'postgres'), passwords: server.secrets.passwords });
    await withClient(server.url('agentflow_owner'), (client) => client.query(`begin; ${sampleStatements()}; commit`));
    return await use(server.url('agentflow_owner'), full.bin, server.url('postgres'));
  } finally {
    await server.close();
    rmSync(dataDir, { recursive: true, force: true });
    rmSync(full.packageFolder, { recursive: true, force: true });
  }
}

async function hasExtension(url: string, name: string): Promise<boolean> {
  return withClient(url, async (client) => (await client.query('select from pg_available_extensions where name = $1', [name])).rowCount === 1);
}

/** Every function in PL/pgSQL, read by a checker that knows the tables. */
function plpgsqlCheck(): Promise<Verdict> {
  return onFullPostgres(async (_url, _bin, superuserUrl) => {
    if (!await hasExtension(superuserUrl, 'plpgsql_check')) return { findings: null, text: 'the server has no plpgsql_check (Debian: apt-get install postgresql-15-plpgsql-check)' };
    return withClient(superuserUrl, async (client) => {
      await client.query('create extension plpgsql_check');
      // A trigger function of several tables may have a branch for each: an error counts when every table meets it.
      const { rows } = await client.query<{ line: string }>(`
        with checked as (
          select p.oid, t.tgrelid, t.tgoldtable, t.tgnewtable from pg_proc p
          join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
          left join lateral (select distinct on (tgrelid) tgrelid, tgoldtable, tgnewtable from pg_trigger where tgfoid = p.oid and not tgisinternal
            order by tgrelid, (tgoldtable is not null)::int + (tgnewtable is not null)::int desc) t on true
          where p.pronamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and (p.prorettype <> 'trigger'::regtype or t.tgrelid is not null))
        select format('%s line %s: %s', c.oid::regprocedure, found.lineno, found.message) as line
        from checked c
        cross join lateral plpgsql_check_function_tb(c.oid, coalesce(c.tgrelid, 0), oldtable => c.tgoldtable, newtable => c.tgnewtable, extra_warnings => false, performance_warnings => false) found
        where found.level = 'error'
        group by c.oid, found.lineno, found.message
        having count(*) = (select count(*) from checked other where other.oid = c.oid)
        order by 1`);
      return { findings: rows.length, text: rows.map(({ line }) => line).join('\n') };
    });
  });
}

/** The snapshot's tables, columns, policies and triggers, found again by pgTAP. */
function pgtap(): Promise<Verdict> {
  return onFullPostgres(async (_url, _bin, superuserUrl) => {
    if (!await hasExtension(superuserUrl, 'pgtap')) return { findings: null, text: 'the server has no pgTAP (Debian: apt-get install postgresql-15-pgtap)' };
    const lines = await withClient(superuserUrl, async (client) => {
      await client.query('create schema tap; create extension pgtap schema tap');
      await client.query('set search_path = tap, pg_catalog');
      const results = await client.query(await pgtapScript(client)) as unknown as { rows: Record<string, string>[] }[];
      return results.flatMap(({ rows }) => rows.flatMap((row) => Object.values(row))).join('\n').split('\n');
    });
    const failed = lines.filter((line) => line.startsWith('not ok'));
    return { findings: failed.length, text: failed.length === 0 ? `${lines.filter((line) => line.startsWith('ok')).length} assertions` : failed.join('\n') };
  });
}

/** Every table and index, page by page. */
function amcheck(): Promise<Verdict> {
  return onFullPostgres(async (_url, bin, superuserUrl) => {
    const run = spawnSync(path.join(bin, 'pg_amcheck'), ['--install-missing', '--heapallindexed', '--parent-check', superuserUrl], { encoding: 'utf8' });
    return { findings: run.status === 0 ? 0 : 1, text: `${run.stdout}${run.stderr}`.trim() };
  });
}

/** Its queries are fetched by whoever runs this: SPLINTER=path/to/splinter.sql. What it calls INFO is told and is no finding. */
function splinter(): Promise<Verdict> {
  const file = process.env['SPLINTER'];
  if (file === undefined) return Promise.resolve({ findings: null, text: 'fetch splinter.sql and name it in SPLINTER' });
  return onFullPostgres((_url, _bin, superuserUrl) => withClient(superuserUrl, async (client) => {
    const rows = await splinterFindings(client, readFileSync(file, 'utf8'));
    return { findings: rows.filter(({ level }) => level !== 'INFO').length, text: rows.map(({ name, level, detail }) => `${level} ${name}: ${detail}`).join('\n') };
  }));
}

/** What graphql-cop asks, of a server as it is in production. */
async function cop(): Promise<Verdict> {
  const data = mkdtempSync(path.join(os.tmpdir(), 'agentflow-cop-'));
  const server = spawn(process.execPath, [path.join(projectFolder, 'bin', 'agentflow.mjs'), 'start'], {
    env: { PATH: process.env['PATH'], HOME: data, AGENTFLOW_DATA_DIR: path.join(data, 'd'), PORT: '0', AGENTFLOW_FACE: 'closed' }, stdio: 'ignore',
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    const file = path.join(data, 'd', 'server.json');
    while (!existsSync(file)) {
      if (server.exitCode !== null) throw new Error(`agentflow start ended with ${server.exitCode}.`);
      await sleep(100);
    }
    const found = await copFindings((JSON.parse(readFileSync(file, 'utf8')) as { graphqlUrl: string }).graphqlUrl);
    return { findings: found.length, text: [`${numberOfQuestions} questions`, ...found].join('\n') };
  } finally {
    server.kill('SIGINT');
    await ended;
    rmSync(data, { recursive: true, force: true });
  }
}

const judges: Record<string, () => Verdict | Promise<Verdict>> = { relay, eslint, 'plpgsql-check': plpgsqlCheck, pgtap, amcheck, splinter, cop };

let found = 0;
for (const name of namesIn(process.argv.slice(2), Object.keys(judges))) {
  const started = performance.now();
  const { findings, text } = await judges[name]!();
  const verdict = findings === null ? 'not here' : findings === 0 ? 'no findings' : `${findings} findings`;
  process.stdout.write(`${name.padEnd(14)} ${verdict.padEnd(12)} ${((performance.now() - started) / 1000).toFixed(1)} s\n${text === '' ? '' : `${text.replace(/^/gm, '    ')}\n`}`);
  found += findings ?? 0;
}
process.exitCode = found === 0 ? 0 : 1;
