import { AtMost } from '../../src/server/at-most.ts';

test('so much is done at once, in the order in which it came, and what is too much is refused', async () => {
  const lanes = new AtMost(2, 3, () => new Error('too many'));
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<number>());
  const begun: number[] = [];
  const begin = (index: number): Promise<number> => lanes.run(() => {
    begun.push(index);
    return ends[index]!.promise;
  });
  const all = ends.map((_, index) => begin(index));
  await expect(begin(0)).rejects.toThrow('too many');
  expect(begun).toEqual([0, 1]);
  ends[1]!.resolve(1);
  await all[1];
  ends[0]!.reject(new Error('it failed'));
  await expect(all[0]).rejects.toThrow('it failed');
  for (const index of [2, 3, 4]) ends[index]!.resolve(index);
  expect(await Promise.all(all.slice(2))).toEqual([2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  expect(await lanes.run(() => Promise.resolve('again'))).toBe('again');
});
