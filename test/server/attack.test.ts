/** The attacks of `npm run attack:api`, in short. */
import { attacks } from '../tools/attack/index.ts';
import { startTarget } from '../tools/attack/target.ts';

// Outside of production, libraries print what is wrong with a cursor that a client has sent.
const { error } = console;
console.error = () => undefined;

let target: Awaited<ReturnType<typeof startTarget>>;
beforeAll(async () => {
  target = await startTarget();
});
afterAll(async () => {
  console.error = error;
  await target.stop();
});

test.each(attacks.map((attack) => [attack.name, attack] as const))('%s: nothing comes of it', async (_name, attack) => {
  const { bad, note, tried } = await attack.run(target, 'short');
  expect(tried).toBeGreaterThan(0);
  expect({ bad, note }).toEqual({ bad: Object.fromEntries(Object.keys(bad).map((kind) => [kind, 0])), note: expect.any(String) });
}, 300_000);
