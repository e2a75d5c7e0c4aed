import { readFileSync } from 'node:fs';
import path from 'node:path';
import { withClient } from '../../src/schema/connection.ts';
import { migrationsFolder } from '../../src/schema/migrate.ts';
import { staleFiles, takeSnapshot } from '../../src/schema/snapshot/index.ts';
import { readTables } from '../../src/schema/snapshot/model.ts';
import { printSdl } from '../../src/server/sdl.ts';
import { useTestDatabase } from '../support/database.ts';

const db = useTestDatabase();
const folder = path.join(migrationsFolder, 'snapshot');

test('migrations/snapshot is as the migrations make it (else run: agentflow db snapshot)', async () => {
  const snapshot = await takeSnapshot(db.url('agentflow_owner'), await printSdl(db.url('agentflow_owner')));
  expect(Object.keys(snapshot).sort()).toEqual(['erd.mmd', 'erd.svg', 'schema.graphql', 'tables.md']);
  expect(staleFiles(folder, snapshot)).toEqual([]);
});

test('a change of the schema makes it stale', async () => {
  const sdl = readFileSync(path.join(folder, 'schema.graphql'), 'utf8');
  await db.owner.query('alter table app_public.flows add column colour text');
  try {
    expect(staleFiles(folder, await takeSnapshot(db.url('agentflow_owner'), sdl))).toEqual(['tables.md', 'erd.mmd', 'erd.svg']);
  } finally {
    await db.owner.query('alter table app_public.flows drop column colour');
  }
});

test('tables.md has a section for every table with all of its columns, constraints, policies and triggers', async () => {
  const text = readFileSync(path.join(folder, 'tables.md'), 'utf8');
  const sections = new Map(text.split(/^## /m).slice(1).map((section) => [section.slice(0, section.indexOf('\n')), section]));
  const tables = await withClient(db.url('agentflow_owner'), readTables);
  expect([...sections.keys()]).toEqual(tables.map(({ schema, name }) => `${schema}.${name}`));
  for (const { schema, name, columns, constraints, indexes, policies, triggers } of tables) {
    const section = sections.get(`${schema}.${name}`)!;
    const missing = [columns, constraints, indexes, policies, triggers].flat().filter((part) => !section.includes(`\`${part.name}\``));
    expect(missing.map((part) => `${name}: ${part.name}`)).toEqual([]);
  }
});

test('the drawing names every table and refers to nothing outside of itself', () => {
  const svg = readFileSync(path.join(folder, 'erd.svg'), 'utf8');
  for (const name of ['tenants', 'users', 'workflows', 'executions', 'task_executions']) expect(svg).toContain(`>${name}<`);
  expect([...svg.matchAll(/(?:href|src|url\()="?(https?:[^"]*)/g)].map(([, address]) => address)).toEqual([]);
});
