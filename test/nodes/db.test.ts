import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadSelectChecker } from '../../src/engine/sql.ts';
import { statementOf } from '../../src/nodes/db-statement.ts';
import { runAlone } from '../support/node-context.ts';
import type { JsonObject } from '../../src/engine/types.ts';

const sql = (query: string, params: JsonObject = {}): string => statementOf(query, params).text;

describe('placeholders become bind parameters', () => {
  test.each<[string, string, JsonObject]>([
    ['select {a}, {b.c}, {a}', 'select $1, $2, $3', {}],
    ['select :id, x::text, :other from t', 'select $1, x::text, :other from t', { id: 1 }],
    ["select * from t where name = '{n}'", "select * from t where name = ('' || $1::text || '')", {}],
    ["select * from t where name ilike '%{n}%' and b = {b}", "select * from t where name ilike ('%' || $1::text || '%') and b = $2", {}],
    ["select 'it''s {n}', '{{1,2}}'::int[]", "select ('it''s ' || $1::text || ''), '{1,2}'::int[]", {}],
    ["select E'a\\'{n}'", "select (E'a\\'' || $1::text || E'')", {}],
    ['select "{n}" -- {n} :id\n, {n} /* {n} /* :id */ {n} */ , $x${n}$x$', 'select "{n}" -- {n} :id\n, $1 /* {n} /* :id */ {n} */ , $x${n}$x$', { id: 1 }],
    ["select ':id', a[1:id] from t", "select ':id', a[1$1] from t", { id: 1 }],
    ["select '{\"a\": 1}'::jsonb, {n}", "select '{\"a\": 1}'::jsonb, $1", {}],
  ])('%s', (query, expected, params) => {
    expect(sql(query, params)).toBe(expected);
  });
});

describe('a node', () => {
  test('binds values with their types, null for what is missing, and says so', async () => {
    const { asked, result } = await runAlone({
      type: 'db', state: { n: 5, tags: ['a'], text: "'; drop table t; --" }, rows: [{ a: 1 }], truncated: true,
      parameters: { query: "select {n}, {gone}, :tags, :like, :text where x = '{text}'", params: { tags: '{tags}', like: '%{text}%', text: '{text}' }, limit: 5, timeout: 2 },
    });
    expect(asked.db).toEqual([{ text: "select $1, $2, $3, $4, $5 where x = ('' || $6::text || '')", values: [5, null, ['a'], "%'; drop table t; --%", "'; drop table t; --", "'; drop table t; --"], limit: 5, timeoutSeconds: 2 }]);
    expect(result).toMatchObject({ kind: 'done', output: [{ a: 1 }], warnings: ['{gone} is not in the state and was bound as null', 'there are more rows than the 1 returned'] });
  });

  test('has 100 rows and 30 seconds by default', async () => {
    const { asked } = await runAlone({ type: 'db', parameters: { query: 'select 1' } });
    expect(asked.db).toEqual([{ text: 'select 1', values: [], limit: 100, timeoutSeconds: 30 }]);
  });
});

describe('one SELECT, by the real parser', () => {
  let problem: (text: string) => string | null;
  beforeAll(async () => {
    problem = await loadSelectChecker();
  });

  test.each(['select 1', 'values (1)', 'with a as (select 1) select * from a', 'select 1 union select 2', '(select 1)', "select 'insert into t'"])('%s is one', (text) => {
    expect(problem(text)).toBeNull();
  });

  test.each(['', ';', 'select 1; select 2', 'insert into t values (1)', 'with a as (delete from t returning *) select * from a', 'with a as (merge into t using s on true when matched then delete returning *) select 1', 'select 1 into x', 'select * from t for update',
    'copy t to stdout', 'set role x', 'select from where', 'explain select 1', 'create table t as select 1', 'do $$ begin end $$', 'select * from (select 1 for share) x'])('%s is none', (text) => {
    expect(problem(text)).toEqual(expect.any(String));
  });

  test('no value of the state changes a statement, wherever its placeholder stands', () => {
    const places = ['select {v}', "select '{v}'", "select 'a{v}b{v}'", "select E'{v}'", 'select 1 where x = {v} and y like \'%{v}\'', 'select "{v}"', 'select 1 /* {v} */', 'select 1 -- {v}', 'select $${v}$$', "select '{v}' || :v"];
    fc.assert(fc.property(fc.constantFrom(...places), fc.oneof(fc.string(), fc.constantFrom("'", "''; drop table t; --", '$1', '\\', "\\'", '*/', '\n', '{v}', '$$')), (query, value) => {
      const params = { v: value };
      const { text, bindings } = statementOf(query, params);
      expect(statementOf(query, { v: 'other' }).text).toBe(text);
      expect(problem(text)).toBeNull();
      expect(text.match(/\$\d+/g)?.length ?? 0).toBe(bindings.length);
    }), { numRuns: 500 });
  });
});
