/** lethal: ends the process that runs it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineNode } from '../../../../src/nodes/define.ts';

export const ways = ['exit', 'kill', 'kill late', 'abort'] as const;

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
    if (way === 'abort') process.abort(); // as V8 does when its heap is full
    return (way === 'kill late' ? sleep(lateMs) : Promise.resolve()).then(() => {
      process.kill(process.pid, 'SIGKILL');
      return { kind: 'done', output: null };
    });
  },
});
