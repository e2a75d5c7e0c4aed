/** lethal: ends the process that runs it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { defineNode } from '../../../../src/nodes/define.ts';

export const ways = ['exit', 'kill', 'kill late', 'memory'] as const;

/** Long enough for the node to be shown as running before. */
const lateMs = 1_000;

export const lethal = defineNode({
  type: 'lethal',
  summary: 'Ends the process that runs it.',
  parameters: { type: 'object', required: ['way'], properties: { way: { type: 'string', enum: [...ways], description: 'How.' } } },
  hasEffect: ({ way }) => way !== 'exit',
  example: { way: 'exit' },
  run({ parameters: { way } }) {
    if (way === 'exit') process.exit(1);
    if (way === 'memory') takeAll();
    return (way === 'kill late' ? sleep(lateMs) : Promise.resolve()).then(() => {
      process.kill(process.pid, 'SIGKILL');
      return { kind: 'done', output: null };
    });
  },
});

/** V8 ends a process whose heap is full. */
function takeAll(): never {
  setFlagsFromString('--max-old-space-size=150');
  const kept: number[][] = [];
  for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => index + 0.5));
}
