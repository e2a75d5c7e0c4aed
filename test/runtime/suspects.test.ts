/** What kills its workers is told apart from what was there when they died. */
import { lossesOfSuspects, mostLosses, standingOf, Suspects } from '../../src/runtime/suspects.ts';

interface Claim { executionId: string; losses: number }

const claimOf = (executionId: string, losses = lossesOfSuspects): Claim => ({ executionId, losses });

interface Options { aliveMs?: () => number; isOurs?: Promise<boolean> }

/** What it has given back, what it runs until that is ended, and who needs no place. */
function openProcess({ aliveMs = () => 60_000, isOurs = Promise.resolve(true) }: Options = {}) {
  const given: string[] = [];
  const freed: string[] = [];
  const run = new Map<string, () => void>();
  const suspects = new Suspects<Claim>({ aliveMs, begin: () => isOurs, giveBack: async ({ executionId }) => given.push(executionId) });
  const drive = ({ executionId: id, losses }: Claim): Promise<void> => suspects.drive({ executionId: id, losses }, () => freed.push(id), () => new Promise((resolve) => run.set(id, resolve)));
  return { suspects, given, freed, run, drive };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('deaths make a suspect, trials that end in a death end it', () => {
  expect([0, lossesOfSuspects - 1, lossesOfSuspects, mostLosses - 1, mostLosses].map(standingOf)).toEqual(['free', 'free', 'suspect', 'suspect', 'given up']);
});

test('one suspect at a time, until a node of it has ended or it is over; others wait, and need no place', async () => {
  const { suspects, given, freed, run, drive } = openProcess();
  const all = ['first', 'second', 'third'].map((name) => drive(claimOf(name)));
  await turn();
  expect([freed, [...run.keys()]]).toEqual([['second', 'third'], ['first']]);
  suspects.hasProgressed(claimOf('first'));
  await turn();
  run.get('first')!(); // it is over, long after its progress: that is nothing to the second
  await turn();
  expect([...run.keys()]).toEqual(['first', 'second']);
  run.get('second')!();
  await turn();
  run.get('third')!();
  await Promise.all(all);
  expect(given).toEqual([]);
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

test('a process that began just now tries nobody before it has worked for a while', async () => {
  let aliveMs = 950;
  const { freed, run, drive } = openProcess({ aliveMs: () => aliveMs });
  const one = drive(claimOf('one'));
  await turn();
  expect([freed, run.size]).toEqual([['one'], 0]);
  aliveMs = 2_000;
  while (run.size === 0) await turn();
  run.get('one')!();
  await one;
});

test('who does not fit into the line is given back, and so are all when the process stops', async () => {
  const { suspects, given, run, drive } = openProcess();
  const all = Array.from({ length: 60 }, (_, index) => drive(claimOf(`${index}`)));
  await turn();
  expect([given.length, run.size]).toEqual([9, 1]);
  suspects.close();
  run.get('0')!();
  await Promise.all([...all, drive(claimOf('late'))]);
  expect([given.length, run.size]).toEqual([60, 1]);
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
