import type { Acting } from '../acting.ts';
import type { Context } from '../context.ts';
import { completeConfig, startWorkerPart } from '../processes.ts';
import { mocksByDefault } from '../start.ts';

/** Where nobody else works on the database, and the end is waited for, a worker runs for the while. */
export async function withWorker<T>(context: Context, { isAlone, database }: Acting, waits: boolean, use: () => Promise<T>): Promise<T> {
  if (!isAlone || !waits) return use();
  const config = completeConfig(context.config, database, mocksByDefault(context.config));
  if (config.mockLlm) context.say('Models are MOCKED: set OPENAI_API_KEY or AGENTFLOW_LLM_GATEWAY_URL for real ones.');
  const worker = await startWorkerPart(context, config, database);
  try {
    return await use();
  } finally {
    await worker.close();
  }
}
