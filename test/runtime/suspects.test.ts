/** What kills its workers is told apart from what was there when they died. */
import { lossesOfSuspects, mostLosses, standingOf, Suspects, type Driven } from '../../src/runtime/suspects.ts';

interface OneOf extends Driven {
  id: number;
  givenBack: boolean;
}

function execution(id: number, losses: number): OneOf {
  return { id, claim: { losses }, journal: { onProgress: null }, givenBack: false, postpone() { this.givenBack = true; } };
}

test('deaths make a suspect, as many more an end', () => {
  expect([0, lossesOfSuspects - 1, lossesOfSuspects, mostLosses - 1, mostLosses].map(standingOf)).toEqual(['free', 'free', 'suspect', 'suspect', 'given up']);
});

test('one suspect at a time, until a node of it has ended or it is over; who is free is not held up', () => {
  const suspects = new Suspects();
  const [first, second, third, free] = [execution(1, 5), execution(2, 9), execution(3, 5), execution(4, 4)];
  expect([first, second, free].map((one) => suspects.admit(one))).toEqual([true, false, true]);
  expect([first, second, free].map(({ givenBack }) => givenBack)).toEqual([false, true, false]);
  first.journal.onProgress!();
  expect(suspects.admit(second)).toBe(true);
  suspects.leave(first); // long after its progress: it takes nobody's place along
  suspects.leave(free);
  expect(suspects.admit(third)).toBe(false);
  suspects.leave(second);
  expect(suspects.admit(third)).toBe(true);
});

/** Rounds of one process, which takes all that waits: it dies when it drives one that kills, and is done with all that it drives otherwise. */
function live(all: readonly OneOf[], killers: readonly number[]): { givenUp: number[]; deaths: number } {
  const givenUp: number[] = [];
  let deaths = 0;
  for (let waiting = [...all]; waiting.length > 0;) {
    givenUp.push(...waiting.filter(({ claim }) => standingOf(claim.losses) === 'given up').map(({ id }) => id));
    waiting = waiting.filter(({ id }) => !givenUp.includes(id));
    const suspects = new Suspects();
    const driven = waiting.filter((one) => suspects.admit(one));
    const isKilled = driven.some(({ id }) => killers.includes(id));
    if (isKilled) for (const { claim } of driven) claim.losses += 1;
    else waiting = waiting.filter((one) => !driven.includes(one));
    deaths += Number(isKilled);
  }
  return { givenUp, deaths };
}

test('two that kill among twenty: these two are given up, and nobody else', () => {
  const { givenUp, deaths } = live(Array.from({ length: 20 }, (_, id) => execution(id, 0)), [3, 11]);
  expect(givenUp).toEqual([3, 11]);
  expect(deaths).toBe(lossesOfSuspects + 2 * (mostLosses - lossesOfSuspects));
});
