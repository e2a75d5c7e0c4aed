/** The tables stand as the two schema documents write them. */
import { useTestDatabase } from '../../support/database.ts';
import { primaryKeys, seedEnums, seedSchema, uniqueByTheSeed } from './seed-schema.ts';

const db = useTestDatabase();

describe.each(Object.entries(seedSchema))('%s', (table, expected) => {
  const relation = `app_public.${table}`;

  test('has every column with its type and nullability', async () => {
    const { rows } = await db.owner.query<{ name: string; type: string }>(`
      select attname as name, format_type(atttypid, atttypmod) || case when attnotnull then '!' else '' end as type
      from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped`, [relation]);
    const actual = Object.fromEntries(rows.map(({ name, type }) => [name, type.replace(/^(flow|task)_execution_status/, 'app_public.$&')]));
    expect(actual).toMatchObject(expected.columns);
  });

  test('has the defaults, and no others', async () => {
    const { rows } = await db.owner.query<{ name: string; value: string }>(`
      select a.attname as name, pg_get_expr(d.adbin, d.adrelid) as value
      from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = $1::regclass`, [relation]);
    const actual = Object.fromEntries(rows
      .filter(({ name }) => name in expected.columns)
      .map(({ name, value }) => [name, value.replace(/::[\w. ]+$/, '')]));
    expect(actual).toEqual(expected.defaults);
  });

  test('has the indexes by name', async () => {
    const { rows } = await db.owner.query<{ name: string; definition: string }>(`
      select c.relname as name, regexp_replace(pg_get_indexdef(c.oid), '^.* USING ', '') as definition
      from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass`, [relation]);
    expect(Object.fromEntries(rows.map(({ name, definition }) => [name, definition]))).toMatchObject(expected.indexes);
  });

  test('has the foreign keys by name, with the tenant in them', async () => {
    const { rows } = await db.owner.query<{ name: string; columns: string[]; target: string; action: string }>(`
      select conname as name, confrelid::regclass::text as target, confdeltype as action,
        array(select attname::text from unnest(conkey) as key join pg_attribute on attrelid = conrelid and attnum = key order by 1) as columns
      from pg_constraint where conrelid = $1::regclass and contype = 'f' and conparentid = 0`, [relation]);
    const actual = new Map(rows.map((row) => [row.name, row]));
    for (const [name, { columns, references, onDelete }] of Object.entries(expected.foreignKeys)) {
      const tenant = table === 'audit_logs' ? [] : ['tenant_id'];
      expect(actual.get(name)).toEqual({
        name, columns: [...tenant, ...columns].sort(), target: expect.stringMatching(new RegExp(`^(app_public\\.)?${references}$`)), action: onDelete === 'cascade' ? 'c' : 'n',
      });
    }
    expect(actual.size).toBeGreaterThanOrEqual(Object.keys(expected.foreignKeys).length);
  });

  test('has the check constraints by name, with exactly the values', async () => {
    const { rows } = await db.owner.query<{ name: string; definition: string }>(
      `select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = $1::regclass and contype = 'c'`, [relation]);
    const definitions = Object.fromEntries(rows.map(({ name, definition }) => [name, definition]));
    for (const [name, { column, values }] of Object.entries(expected.checks)) {
      expect(definitions[name]).toContain(`(${column})`);
      expect([...(definitions[name] ?? '').matchAll(/'([^']*)'/g)].map((match) => match[1])).toEqual(values);
    }
    expect(rows.length).toBeGreaterThanOrEqual(Object.keys(expected.checks).length);
  });

  test('has its primary key', async () => {
    const { rows: [row] } = await db.owner.query<{ columns: string[] }>(`
      select array(select attname::text from unnest(conkey) with ordinality as key (number, position)
        join pg_attribute on attrelid = conrelid and attnum = number order by position) as columns
      from pg_constraint where conrelid = $1::regclass and contype = 'p'`, [relation]);
    expect(row?.columns).toEqual(primaryKeys[table]);
  });
});

test('unique columns are unique by the index that the document names', async () => {
  const { rows } = await db.owner.query<{ name: string; column: string }>(`
    select c.relname as name, a.attname as column
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indisunique and i.indnatts = 1 and c.relname = any ($1)`, [Object.keys(uniqueByTheSeed)]);
  expect(Object.fromEntries(rows.map(({ name, column }) => [name, column]))).toEqual(uniqueByTheSeed);
});

test('enum types have the values of the diagram, in its order', async () => {
  const { rows } = await db.owner.query<{ name: string; labels: string[] }>(`
    select typname as name, array(select enumlabel::text from pg_enum where enumtypid = pg_type.oid order by enumsortorder) as labels
    from pg_type where typtype = 'e' and typnamespace = 'app_public'::regnamespace`);
  expect(Object.fromEntries(rows.map(({ name, labels }) => [name, labels]))).toMatchObject(seedEnums);
});

test('added indexes and constraints are named by the same convention', async () => {
  const { rows } = await db.owner.query<{ name: string }>(`
    select c.relname || '.' || conname as name from pg_constraint join pg_class c on c.oid = conrelid
    where connamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and conparentid = 0 and not c.relispartition
      and conname !~ case contype when 'f' then '^fk_' || c.relname || '_' when 'c' then '^chk_' || c.relname || '_' when 'u' then '^idx_' || c.relname || '_' when 'p' then '^' || c.relname || '_pkey$' else '' end
    union all
    select c.relname || '.' || i.relname from pg_index join pg_class i on i.oid = indexrelid join pg_class c on c.oid = indrelid
    where c.relnamespace in ('app_public'::regnamespace, 'app_private'::regnamespace) and not c.relispartition and not indisprimary
      and i.relname !~ ('^idx_' || c.relname || '_')`);
  expect(rows).toEqual([]);
});
