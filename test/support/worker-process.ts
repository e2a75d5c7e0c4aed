/** A worker as a process of its own, for tests that kill it. Says "ready" when it takes jobs; SIGTERM stops it as the CLI does. */
import { startWorker } from '../../src/runtime/index.ts';
import { keepingLog, plainSettings } from './worker.ts';

const [workerUrl, gatewayUrl, more = '{}'] = process.argv.slice(2) as [string, string, string?];
const log = { ...keepingLog(), error: (details: object, message: string) => console.error(message, details) };
const worker = await startWorker({ config: { ...plainSettings, llmGateway: { url: gatewayUrl, key: null }, ...JSON.parse(more) as object }, workerUrl, log });
process.on('SIGTERM', () => {
  worker.close(4_000).then(() => process.exit(0), (error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
console.log('ready');
