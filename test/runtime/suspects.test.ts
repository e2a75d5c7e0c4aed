/** What kills its workers is told apart from what was there when they died. */
import { jest } from '@jest/globals';
import { lossesOfSuspects, mostLosses, standingOf, Suspects } from '../../src/runtime/suspects.ts';

interface Claim { executionId: string; losses: number }

const claimOf = (executionId: string, losses = lossesOfSuspects): Claim => ({ executionId, losses });

interface Options { aliveMs?: number; isOurs?: Promise<boolean> }

/** What it has given back, and what it runs until that is ended. */
function openProcess({ aliveMs = 60_000, isOurs = Promise.resolve(true) }: Options = {}) {
  const given: string[] = [];
  const run = new Map<string, () => void>();
  const suspects = new Suspects<Claim>({ aliveMs: () => aliveMs, begin: () => isOurs, giveBack: async ({ executionId }) => given.push(executionId) });
  const drive = ({ executionId: id, losses }: Claim): Promise<void> => suspects.drive({ executionId: id, losses }, () => new Promise((resolve) => run.set(id, resolve)));
  return { suspects, given, run, drive };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('deaths make a suspect, trials that end in a death end it', () => {
  expect([0, lossesOfSuspects - 1, lossesOfSuspects, mostLosses - 1, mostLosses].map(standingOf)).toEqual(['free', 'free', 'suspect', 'suspect', 'given up']);
});

test('one suspect at a time, until a node of it has ended or it is over; others are given back', async () => {
  const { suspects, given, run, drive } = openProcess();
  const first = drive(claimOf('first'));
  await drive(claimOf('early'));
  expect([given, [...run.keys()]]).toEqual([['early'], ['first']]);
  suspects.hasProgressed(claimOf('first'));
  const second = drive(claimOf('second'));
  await turn();
  run.get('first')!(); // it is over, long after its progress: that is nothing to the second
  await first;
  await drive(claimOf('again early'));
  run.get('second')!();
  await second;
  const third = drive(claimOf('third'));
  await turn();
  run.get('third')!();
  await third;
  expect([given, [...run.keys()]]).toEqual([['early', 'again early'], ['first', 'second', 'third']]);
});

test('what has run for long lets the next one be tried', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
  try {
    const { given, run, drive } = openProcess();
    const all = [drive(claimOf('slow'))];
    await turn();
    jest.advanceTimersByTime(10_000);
    all.push(drive(claimOf('next')));
    await turn();
    expect([given, [...run.keys()]]).toEqual([[], ['slow', 'next']]);
    for (const end of run.values()) end();
    await Promise.all(all);
  } finally {
    jest.useRealTimers();
  }
});

test('nothing runs before it is written that its trial has begun, nor when the claim is lost', async () => {
  const written = Promise.withResolvers<boolean>();
  const { run, drive } = openProcess({ isOurs: written.promise });
  const lost = drive(claimOf('lost'));
  await turn();
  expect(run.size).toBe(0);
  written.resolve(false);
  await lost;
  expect(run.size).toBe(0);
});

test('a process that began just now tries nobody', async () => {
  const { given, run, drive } = openProcess({ aliveMs: 950 });
  await drive(claimOf('one'));
  expect([given, run.size]).toEqual([['one'], 0]);
});

/** Rounds of one process, which takes all that waits: it dies when it drives one that kills, and is done with all that it drives otherwise. */
async function live(all: readonly Claim[], killers: readonly string[]): Promise<{ givenUp: string[]; deaths: number }> {
  const givenUp: string[] = [];
  let deaths = 0;
  for (let waiting = [...all]; waiting.length > 0;) {
    givenUp.push(...waiting.filter(({ losses }) => standingOf(losses) === 'given up').map(({ executionId }) => executionId));
    waiting = waiting.filter(({ executionId }) => !givenUp.includes(executionId));
    const { run, drive } = openProcess();
    for (const claim of waiting) if (standingOf(claim.losses) === 'suspect') void drive(claim);
    await turn();
    const driven = waiting.filter(({ executionId, losses }) => run.has(executionId) || standingOf(losses) === 'free');
    const isKilled = driven.some(({ executionId }) => killers.includes(executionId));
    if (isKilled) for (const claim of driven) claim.losses += 1;
    else waiting = waiting.filter((claim) => !driven.includes(claim));
    deaths += Number(isKilled);
  }
  return { givenUp, deaths };
}

test('two that kill among twenty: these two are given up, and nobody else', async () => {
  const { givenUp, deaths } = await live(Array.from({ length: 20 }, (_, index) => claimOf(`${index}`, 0)), ['3', '11']);
  expect(givenUp).toEqual(['3', '11']);
  expect(deaths).toBe(lossesOfSuspects + 2 * (mostLosses - lossesOfSuspects));
});
