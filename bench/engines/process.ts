/** The process of one engine: `node bench/engines/process.ts NAME OPTIONS`. One JSON command a line comes in, one answer a line goes out. */
import { createInterface } from 'node:readline';
import type { Engine, EngineOptions, Kind, OpenEngine } from './engine.ts';

export type Command = { do: 'many' | 'one by one'; kind: Kind; count: number } | { do: 'close' };

export interface Answer {
  seconds: number;
  /** Of this process. */
  cpuSeconds: number;
  /** Most that was resident, bytes. */
  peakBytes: number;
  /** Each of those that ran one by one, milliseconds. */
  times: number[];
}

const [name, json] = process.argv.slice(2) as [string, string];
const { open } = await import(`./${name}.ts`) as { open: OpenEngine };
const engine = await open(JSON.parse(json) as EngineOptions);
const say = (answer: object): void => void process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  if (command.do === 'close') break;
  say(await obey(engine, command));
}
// Also when whoever started this is gone, and the server with him: some engines wait for it then.
setTimeout(() => process.exit(1), 15_000);
await engine.close();
process.exit(0);

async function obey(of: Engine, { do: what, kind, count }: Exclude<Command, { do: 'close' }>): Promise<Answer> {
  let peakBytes = 0;
  const look = (): void => {
    peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  };
  const watch = setInterval(look, 50);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const times: number[] = [];
  if (what === 'many') await of.many(kind, count);
  for (let index = 0; what === 'one by one' && index < count; index += 1) {
    const from = performance.now();
    await of.one(kind);
    times.push(performance.now() - from);
  }
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(watch);
  look();
  return { seconds, cpuSeconds: (user + system) / 1e6, peakBytes, times };
}
