/** What a worker process takes up, and how much of it. */
import { jest } from '@jest/globals';
import { Intake, type Portion } from '../../src/runtime/intake.ts';

interface Asked { wanted: number; ofLong: number }

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const portion = (short: number, long = 0, passedBy = 0): Portion<string> => ({ short, long, passedBy, claims: Array.from({ length: short + long }, (_, n) => `${n}`) });
/** It looks after the present burst of work, and after that of each answer. */
const untilIdle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
};

/** After a failure it pauses before it asks again. */
const untilTold = async (told: string[], count: number): Promise<void> => {
  while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
};

/** An intake whose database answers what it is told; each execution lasts until it is ended. */
function setUp(places: number, answer: (asked: Asked, count: number) => Portion<string> | Error): { intake: Intake<string>; asked: Asked[]; told: string[]; end(): void } {
  const asked: Asked[] = [];
  const told: string[] = [];
  const ends: (() => void)[] = [];
  const intake = new Intake<string>({
    places, log: quiet,
    async take(wanted, ofLong) {
      told.push('take');
      const given = answer({ wanted, ofLong }, asked.push({ wanted, ofLong }));
      if (given instanceof Error) throw given;
      return given;
    },
    begin: () => new Promise((resolve) => ends.push(resolve)),
    async forget() {
      told.push('forget');
    },
    async sort() {
      return 0;
    },
    onUnknown: () => told.push('unknown'),
    onTaken: () => undefined,
  });
  intake.leave = () => told.push('leave');
  return { intake, asked, told, end: () => ends.shift()!() };
}

test('asks for as many as there are places, keeps a tenth from long queues, and asks again when a place is free and there was more', async () => {
  const { intake, asked, end } = setUp(20, ({ wanted, ofLong }) => (ofLong > 0 ? portion(0, wanted) : portion(0)));
  intake.look();
  await untilIdle();
  expect(asked).toEqual([{ wanted: 18, ofLong: 18 }]);
  intake.look();
  await untilIdle();
  expect(asked.slice(1)).toEqual([{ wanted: 2, ofLong: 0 }]);
  end();
  end();
  await untilIdle();
  expect(asked.slice(2)).toEqual([{ wanted: 2, ofLong: 2 }]);
  await intake.close();
});

test('fills the kept places, too, where no queue is long; never more than there are', async () => {
  const { intake, asked } = setUp(20, ({ wanted }) => portion(wanted));
  intake.look();
  await untilIdle();
  expect(asked).toEqual([{ wanted: 18, ofLong: 18 }, { wanted: 2, ofLong: 0 }]);
  intake.look();
  await untilIdle();
  expect(asked).toHaveLength(2);
  await intake.close();
});

describe('what comes free while only long queues wait', () => {
  beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
  afterEach(() => void jest.useRealTimers());

  /** All places of the main way are taken by what lasts. */
  const setUpFull = async (): Promise<ReturnType<typeof setUp>> => {
    const scene = setUp(20, ({ wanted, ofLong }) => (ofLong > 0 ? portion(0, wanted) : portion(0)));
    scene.intake.look();
    await untilIdle();
    jest.advanceTimersByTime(2_000);
    expect(scene.asked.splice(0)).toEqual([{ wanted: 18, ofLong: 18 }]);
    return scene;
  };

  test('is filled together with what comes free a little later', async () => {
    const { intake, asked, end } = await setUpFull();
    end();
    await untilIdle();
    end();
    await untilIdle();
    expect(asked).toEqual([]);
    jest.advanceTimersByTime(50);
    expect(asked).toEqual([{ wanted: 2, ofLong: 2 }]);
    await intake.close();
  });

  test('is filled at once when something may have come, and when half of the places are free', async () => {
    const { intake, asked, end } = await setUpFull();
    end();
    intake.look();
    await untilIdle();
    expect(asked.splice(0)).toEqual([{ wanted: 1, ofLong: 1 }]);
    for (let n = 0; n < 9; n += 1) end();
    await untilIdle();
    expect(asked).toEqual([{ wanted: 9, ofLong: 9 }]);
    await intake.close();
  });
});

test('of one place none is kept', async () => {
  const { intake, asked } = setUp(1, () => portion(0));
  intake.look();
  await untilIdle();
  expect(asked).toEqual([{ wanted: 1, ofLong: 1 }]);
  await intake.close();
});

test('after a lost answer it gives back what it does not know of before it takes again', async () => {
  const { intake, told } = setUp(20, (_, count) => (count === 1 ? Object.assign(new Error('gone'), { code: 'ECONNRESET' }) : portion(0)));
  intake.look();
  await untilTold(told, 3);
  expect(told).toEqual(['take', 'forget', 'take']);
  await intake.close();
});

test('what cannot be taken, and what was passed by, is left to graphile-worker', async () => {
  const { intake, told } = setUp(20, (_, count) => (count === 1 ? new Error('refused') : portion(0, 0, 1)));
  intake.look();
  await untilTold(told, 4);
  expect(told).toEqual(['take', 'leave', 'take', 'leave']);
  await intake.close();
});

test.each([
  ['what refuses to be taken', new Error('poison in the row'), 40],
  ['a database that is away', new Error('Connection terminated'), 5],
])('after %s: what is asked for in ten seconds', async (_what, error, least) => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
  try {
    const { intake, asked } = setUp(1, () => error);
    intake.look();
    for (let ms = 0; ms < 10_000; ms += 10) {
      await untilIdle();
      jest.advanceTimersByTime(10);
    }
    expect(asked.length).toBeGreaterThanOrEqual(least);
    expect(asked.length).toBeLessThan(least + 15);
    await intake.close();
  } finally {
    jest.useRealTimers();
  }
});

test('a worker that is taken for dead says so and leaves nothing to graphile-worker, which could take as little', async () => {
  const { intake, told } = setUp(20, () => Object.assign(new Error('The worker process was taken for dead.'), { code: 'AF510' }));
  intake.look();
  await untilIdle();
  expect(told).toEqual(['take', 'unknown']);
  await intake.close();
});

test('what comes while the other answer is lost has begun before anything is forgotten', async () => {
  const told: string[] = [];
  const [lost, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const intake = new Intake<string>({
    places: 20, log: quiet,
    async take(wanted, ofLong) {
      if (told.length > 0) return portion(0);
      await (ofLong > 0 ? lost : late).promise;
      if (ofLong > 0) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
      return { short: wanted, long: 0, passedBy: 0, claims: ['one', 'two'] };
    },
    begin: (claim) => (told.push(claim), Promise.resolve()),
    forget: async () => void told.push('forget'),
    sort: async () => 0,
    onUnknown: () => undefined,
    onTaken: () => undefined,
  });
  intake.look();
  await untilIdle();
  intake.look();
  await untilIdle();
  lost.resolve();
  await untilIdle();
  late.resolve();
  await untilTold(told, 3);
  expect(told).toEqual(['one', 'two', 'forget']);
  await intake.close();
});

test('who comes on another way waits for a place, and goes before what would be taken', async () => {
  const { intake, asked, end } = setUp(1, (_, count) => portion(count === 1 ? 1 : 0));
  intake.look();
  await untilIdle();
  const place = intake.place();
  end();
  expect(await place).toBe(true);
  intake.look();
  await untilIdle();
  expect(asked).toHaveLength(1);
  const refused = intake.place();
  await intake.close();
  expect(await refused).toBe(false);
});
