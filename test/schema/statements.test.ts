import { rowStatements, transactionStatements } from '../../src/schema/statements.ts';

test.each(['begin', 'start transaction', 'commit', 'end', 'rollback', 'abort', 'savepoint a', 'release savepoint a', `prepare transaction 'x'`])('"%s" divides a transaction', (statement) => {
  expect(transactionStatements(`-- Grüße 🦊: commit;\nselect 'commit;';\n  /* now */ ${statement};\nselect 1;`)).toEqual([{ start: expect.any(Number), text: statement }]);
});

test('what only looks like it does not', () => {
  expect(transactionStatements(`create function f() returns void language plpgsql as $$ begin commit; end; $$;
    create function g() returns int language sql begin atomic select case when true then 1 end; end;
    select 'rollback;' as "begin"; comment on table t is 'commit;'; prepare p as select 1;`)).toEqual([]);
  expect(transactionStatements('commit; selec 1')).toEqual([]); // a syntax error is told when it runs
});

test('statements that write rows are named with their table', () => {
  expect(rowStatements('delete from a.b; update c set d = 1; truncate e.f, g; insert into h values (1); select 1')).toEqual(
    ['it deletes rows of a.b', 'it changes rows of c', 'it empties e.f', 'it empties g']);
});
