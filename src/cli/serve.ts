/** Runs until told to stop: parts are started in order and stopped in the reverse order, once, within the time a stop may take. */
import type { Log } from '../log.ts';
import { exitCodes, report } from './context.ts';

/** From the signal to the end of the process. Parts get less; what is not done by then is broken off (and recovered from later). */
const stopSeconds = 4.7;

export interface Part {
  name: string;
  close(): Promise<void>;
}

export class Service {
  readonly #log: Log;
  readonly #parts: Part[] = [];
  #stopping: Promise<void> | null = null;

  constructor(log: Log) {
    this.#log = log;
    // A second signal changes nothing: `on` keeps its default, which is to end the process at once, from happening.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void this.stop(signal, exitCodes.ok));
    // The launcher is gone: nobody could stop us any more.
    process.on('disconnect', () => void this.stop('the launcher ended', exitCodes.ok));
    process.channel?.unref();
  }

  get isStopping(): boolean {
    return this.#stopping !== null;
  }

  /** Parts of one call are stopped together, those of later calls first. A part that comes after a stop has begun is closed at once. */
  async add(...parts: Part[]): Promise<void> {
    if (this.isStopping) await this.#close(parts);
    else this.#parts.push({ name: parts.map(({ name }) => name).join(', '), close: () => this.#close(parts) });
  }

  /** Parts that come up one after the other and are stopped together. One that comes after a stop has begun is closed at once. */
  async addGroup(): Promise<{ add(part: Part): Promise<void> }> {
    const members: Part[] = [];
    await this.add({ name: 'group', close: () => this.#close(members) });
    return {
      add: async (part) => {
        if (this.isStopping) await this.#close([part]);
        else members.push(part);
      },
    };
  }

  /** Ends the process. Later calls wait for the first. */
  stop(reason: string, exitCode: number): Promise<void> {
    this.#stopping ??= this.#stop(reason, exitCode);
    return this.#stopping;
  }

  async #stop(reason: string, exitCode: number): Promise<void> {
    const started = performance.now();
    // A failure has been told by then, and is what people should see last.
    const level = exitCode === exitCodes.ok ? 'info' : 'debug';
    this.#log[level]({ reason }, 'stopping');
    setTimeout(() => {
      this.#log.warn('stopping took too long: broken off');
      process.exit(exitCode);
    }, stopSeconds * 1000).unref();
    for (const part of this.#parts.toReversed()) await part.close();
    this.#log[level]({ seconds: Math.round(performance.now() - started) / 1000 }, 'stopped');
    process.exit(exitCode);
  }

  async #close(parts: Part[]): Promise<void> {
    await Promise.all(parts.map(async (part) => {
      try {
        await part.close();
      } catch (error) {
        this.#log.error({ err: error, part: part.name }, 'could not be closed in order');
      }
    }));
  }
}

/** Runs `start`; a failure is reported after what had been started is stopped again. Returns when the process is about to end. */
export async function serve(log: Log, json: boolean, start: (service: Service) => Promise<void>): Promise<void> {
  const service = new Service(log);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'unexpected error');
    void service.stop('an unexpected error', exitCodes.failure);
  });
  try {
    await start(service);
  } catch (error) {
    if (!service.isStopping) await service.stop('could not start', report(error, json));
  }
  await new Promise(() => undefined);
}
