/** `npm run bench -- NAME [options]`: runs bench/NAME.ts. Each makes a database of its own and refuses any other. */
import './support/only-own-databases.ts';
import { existsSync } from 'node:fs';
import path from 'node:path';

interface Bench {
  usage: string;
  run(args: string[]): Promise<void>;
}

const names = ['executions', 'starts', 'flows', 'scale', 'recovery', 'fairness', 'api', 'growth', 'start', 'latency', 'idle', 'identity', 'limits', 'plots'].filter((name) => existsSync(path.join(import.meta.dirname, `${name}.ts`)));
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  process.stderr.write(`Usage: npm run bench -- ${names.join('|')} [options]\n`);
  process.exit(2);
}
const bench = await import(`./${name}.ts`) as Bench;
if (args.includes('--help')) {
  process.stdout.write(`${bench.usage}\n`);
} else {
  await bench.run(args).catch((error: unknown) => {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string' || !code.startsWith('ERR_PARSE_ARGS')) throw error;
    process.stderr.write(`${(error as Error).message}\nUsage: ${bench.usage}\n`);
    process.exit(2);
  });
}
