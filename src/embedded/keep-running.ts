/** A server that ends without being asked to is started again on its port: connections break, and find it there again. */
import type { Postmaster } from './postmaster.ts';

/** Remains of a killed server (its sessions) may be in the way for a while. */
const tryForSeconds = 30;
const pauseMs = 250;

/** `say` hears what happened. The result's `ended` settles when the server was stopped, or could not be started again. */
export function keepRunning(first: Postmaster, relaunch: (port: number) => Promise<Postmaster>, say: (line: string) => void): Postmaster {
  let current = first;
  let isStopping = false;

  const startAgain = async (): Promise<Postmaster | null> => {
    const deadline = Date.now() + tryForSeconds * 1000;
    for (;;) {
      if (isStopping) return null;
      try {
        return await relaunch(first.port);
      } catch (error) {
        if (Date.now() > deadline) {
          say(`The embedded PostgreSQL cannot be started again: ${(error as Error).message}`);
          return null;
        }
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  };

  const watch = async (): Promise<void> => {
    for (;;) {
      await current.ended;
      if (isStopping) return;
      say('The embedded PostgreSQL ended unexpectedly; starting it again.');
      const next = await startAgain();
      if (next === null) return;
      current = next;
      if (isStopping) await next.stop(0);
      else say(`The embedded PostgreSQL runs again (process ${next.pid}).`);
    }
  };

  const ended = watch();
  return {
    get pid() {
      return current.pid;
    },
    port: first.port,
    ended,
    stop: async (graceMs) => {
      isStopping = true;
      await current.stop(graceMs);
      await ended;
    },
  };
}
