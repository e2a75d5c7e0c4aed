/** Alarms: each rings once, when its time is up, whatever becomes of those beside it. */
import { jest } from '@jest/globals';
import { alarmIn } from '../../src/runtime/alarms.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('rings when its time is up, not before, and once', () => {
  const rung: string[] = [];
  alarmIn(500, () => rung.push('first'));
  jest.advanceTimersByTime(200);
  alarmIn(500, () => rung.push('second'));
  alarmIn(100, () => rung.push('short'));
  jest.advanceTimersByTime(299);
  expect(rung).toEqual(['short']);
  jest.advanceTimersByTime(2);
  expect(rung).toEqual(['short', 'first']);
  jest.advanceTimersByTime(10_000);
  expect(rung).toEqual(['short', 'first', 'second']);
});

test('what is taken back does not ring, and holds up none of the others', () => {
  const rung: number[] = [];
  const alarms = [0, 1, 2, 3, 4].map((index) => alarmIn(500, () => rung.push(index)));
  for (const index of [0, 2, 4]) alarms[index]!.off();
  alarms[0]!.off();
  jest.advanceTimersByTime(501);
  expect(rung).toEqual([1, 3]);
  alarms[1]!.off();
  alarmIn(500, () => rung.push(5));
  jest.advanceTimersByTime(501);
  expect(rung).toEqual([1, 3, 5]);
});

test('one that is set, or taken back, by another that rings is heeded', () => {
  const rung: string[] = [];
  alarmIn(500, () => {
    rung.push('first');
    beside.off();
    alarmIn(500, () => rung.push('next'));
  });
  const beside = alarmIn(500, () => rung.push('beside'));
  jest.advanceTimersByTime(501);
  expect(rung).toEqual(['first']);
  jest.advanceTimersByTime(501);
  expect(rung).toEqual(['first', 'next']);
});

test('one that is set while another rings does not hold up those that come before it', () => {
  const rung: string[] = [];
  alarmIn(500, () => alarmIn(500, () => rung.push('next')));
  jest.advanceTimersByTime(100);
  alarmIn(500, () => rung.push('second'));
  jest.advanceTimersByTime(502);
  expect(rung).toEqual(['second']);
});

test('nothing is left to wait for once all are over', () => {
  alarmIn(500, () => undefined);
  alarmIn(500, () => undefined).off();
  jest.advanceTimersByTime(501);
  expect(jest.getTimerCount()).toBe(0);
});
