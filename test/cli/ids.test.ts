import { parseId } from '../../src/cli/ids.ts';

test('an id is written in one way', () => {
  expect(parseId('01A20277-93be-77cd-83e1-6e354a0a3aa7')).toBe('01a20277-93be-77cd-83e1-6e354a0a3aa7');
});

test.each(['', 'abc', '42', '01a2027793be77cd83e16e354a0a3aa7', '{01a20277-93be-77cd-83e1-6e354a0a3aa7}', '01a20277-93be-77cd-83e1-6e354a0a3aa7 ', '01a20277-93be-77cd-83e1-6e354a0a3aag'])('%j is none', (text) => {
  expect(() => parseId(text)).toThrow('an id such as');
});
