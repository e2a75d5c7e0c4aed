import { haveSameMeaning } from '../../src/schema/same-meaning.ts';

const text = (body: string, rest = '\ngrant execute to agentflow_user') => `owner agentflow_owner\nCREATE OR REPLACE FUNCTION app_private.f(a integer)\n RETURNS boolean\n LANGUAGE sql\nRETURN ${body}\n${rest}`;

test.each([
  ['parentheses of nested ANDs', '(((a > 1) AND (a < 9)) AND (a <> 5))', '((a > 1) AND (a < 9) AND (a <> 5))', true],
  ['a name that is the type\'s', `(SELECT 'x'::text)`, `(SELECT 'x'::text AS text)`, true],
  ['layout', `(a = ANY (ARRAY[1, 2]))`, `(  a   =\n ANY ( ARRAY[1,   2] ))`, true],
  ['another operator', '(a > 1)', '(a >= 1)', false],
  ['grouping that matters', '((a > 1) AND ((a < 9) OR (a = 5)))', '(((a > 1) AND (a < 9)) OR (a = 5))', false],
  ['another name', `(SELECT 'x'::text AS one)`, `(SELECT 'x'::text AS two)`, false],
])('%s', (_what, one, other, same) => {
  expect(haveSameMeaning(text(one), text(other))).toBe(same);
});

test('rights, comments, and bodies that are text are compared as they stand', () => {
  expect(haveSameMeaning(text('(a > 1)'), text('(a > 1)', '\ngrant execute to public'))).toBe(false);
  const plain = (body: string) => `owner o\nCREATE OR REPLACE FUNCTION f()\n RETURNS void\n LANGUAGE sql\nAS $function$${body}$function$\n`;
  expect(haveSameMeaning(plain('select 1'), plain('select  1'))).toBe(false);
});
