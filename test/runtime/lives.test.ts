/** Executions of a process, without a database. */
import { Lives } from '../../src/runtime/lives.ts';
import type { Claim } from '../../src/store/take-store.ts';

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const broken = new Error('nothing can be written');
const lives = (): Lives => new Lives({ log, isStopping: () => false, drive: () => Promise.reject(broken) });

test('one that came with a job, and of which nothing can be written, keeps its job', async () => {
  const process = lives();
  await expect(process.begin('one', null)).rejects.toBe(broken);
  expect(process.ids).toEqual([]);
});

test('one that was taken with its lease has no job to keep: a heartbeat gives it back', async () => {
  const process = lives();
  await process.begin('one', {} as Claim);
  expect(process.ids).toEqual([]);
});
