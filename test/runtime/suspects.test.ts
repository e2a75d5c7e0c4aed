/** What kills its workers is told apart from what was there when they died. */
import { lossesOfSuspects, mostLosses, standingOf, Suspects } from '../../src/runtime/suspects.ts';

interface Claim { executionId: string; losses: number }

const claimOf = (executionId: string, losses = lossesOfSuspects): Claim => ({ executionId, losses });

/** What it has given back, and what it drives until that is ended. */
function openProcess(written: Promise<unknown> = Promise.resolve()) {
  const given: string[] = [];
  const driven = new Map<string, () => void>();
  const suspects = new Suspects<Claim>(({ executionId }) => {
    given.push(executionId);
    return written;
  });
  const drive = (claim: Claim): Promise<void> => suspects.drive(claim, () => new Promise((resolve) => driven.set(claim.executionId, resolve)));
  return { suspects, given, driven, drive };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('deaths make a suspect, as many more an end', () => {
  expect([0, lossesOfSuspects - 1, lossesOfSuspects, mostLosses - 1, mostLosses].map(standingOf)).toEqual(['free', 'free', 'suspect', 'suspect', 'given up']);
});

test('one suspect at a time, until a node of it has ended or it is over; others are given back', async () => {
  const { suspects, given, driven, drive } = openProcess();
  const first = drive(claimOf('first'));
  await drive(claimOf('second'));
  await turn();
  expect([given, [...driven.keys()]]).toEqual([['second'], ['first']]);

  suspects.hasProgressed(claimOf('first'));
  const second = drive(claimOf('second'));
  await turn();
  driven.get('first')!(); // it is over, long after its progress: that is nothing to the second
  await first;
  await drive(claimOf('third'));
  driven.get('second')!();
  await second;
  void drive(claimOf('third'));
  await turn();
  expect([given, [...driven.keys()]]).toEqual([['second', 'third'], ['first', 'second', 'third']]);
});

test('nothing is driven before it is written that what came with it is given back', async () => {
  const written = Promise.withResolvers<void>();
  const { given, driven, drive } = openProcess(written.promise);
  void drive(claimOf('kills'));
  void drive(claimOf('came with it'));
  await turn();
  expect([given, driven.size]).toEqual([['came with it'], 0]);
  written.resolve();
  await turn();
  expect(driven.size).toBe(1);
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
