/** What kills its workers is told apart from what was there when they died. */
import { lossesOfSuspects, mostLosses, standingOf, Suspects } from '../../src/runtime/suspects.ts';

interface Claim { executionId: string; losses: number }

const claimOf = (executionId: string, losses = lossesOfSuspects): Claim => ({ executionId, losses });

/** What it has given back, and what it runs until that is ended. */
function openProcess({ aliveMs = 60_000, isOurs = Promise.resolve(true) }: { aliveMs?: number; isOurs?: Promise<boolean> } = {}) {
  const given: string[] = [];
  const afterMs: number[] = [];
  const run = new Map<string, () => void>();
  const suspects = new Suspects<Claim>({
    aliveMs: () => aliveMs,
    begin: () => isOurs,
    giveBack: async ({ executionId }, ms) => {
      given.push(executionId);
      afterMs.push(ms);
    },
  });
  const drive = (claim: Claim): Promise<void> => suspects.drive(claim, () => new Promise((resolve) => run.set(claim.executionId, resolve)));
  return { suspects, given, afterMs, run, drive };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('deaths make a suspect, as many more an end', () => {
  expect([0, lossesOfSuspects - 1, lossesOfSuspects, mostLosses - 1, mostLosses].map(standingOf)).toEqual(['free', 'free', 'suspect', 'suspect', 'given up']);
});

test('one suspect at a time, until a node of it has ended or it is over; others are given back', async () => {
  const { suspects, given, run, drive } = openProcess();
  const first = drive(claimOf('first'));
  await drive(claimOf('second'));
  await turn();
  expect([given, [...run.keys()]]).toEqual([['second'], ['first']]);

  suspects.hasProgressed(claimOf('first'));
  const second = drive(claimOf('second'));
  await turn();
  run.get('first')!(); // it is over, long after its progress: that is nothing to the second
  await first;
  await drive(claimOf('third'));
  run.get('second')!();
  await second;
  void drive(claimOf('third'));
  await turn();
  expect([given, [...run.keys()]]).toEqual([['second', 'third'], ['first', 'second', 'third']]);
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

test('a process that began just now tries nobody; those that it gives back come again one after the other', async () => {
  const { given, run, afterMs, drive } = openProcess({ aliveMs: 100 });
  for (const name of ['a', 'b', 'c']) await drive(claimOf(name));
  expect([given, run.size]).toEqual([['a', 'b', 'c'], 0]);
  const [first, second, third] = afterMs as [number, number, number];
  expect(first).toBeGreaterThan(0);
  expect(third - second).toBe(second - first);
  expect(second).toBeGreaterThan(first);
});

/** Rounds of one process, which takes all that waits: it dies when it drives one that kills, and is done with all that it drives otherwise. */
async function live(all: readonly Claim[], killers: readonly string[]): Promise<{ givenUp: string[]; deaths: number }> {
  const givenUp: string[] = [];
  let deaths = 0;
  for (let waiting = [...all]; waiting.length > 0;) {
    givenUp.push(...waiting.filter(({ losses }) => standingOf(losses) === 'given up').map(({ executionId }) => executionId));
    waiting = waiting.filter(({ executionId }) => !givenUp.includes(executionId));
    const { given, drive } = openProcess();
    for (const claim of waiting) if (standingOf(claim.losses) === 'suspect') void drive(claim);
    await turn();
    const driven = waiting.filter(({ executionId }) => !given.includes(executionId));
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
