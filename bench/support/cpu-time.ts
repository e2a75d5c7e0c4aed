/** CPU seconds and memory of processes: what work costs, however busy the machine is. Linux only; null elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = 100;

interface Stat {
  parent: number;
  seconds: number;
  /** Of children that have ended. */
  endedSeconds: number;
}

function statOf(pid: number | string): Stat | null {
  try {
    // The name stands in brackets and may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    const [own, ended] = [11, 13].map((first) => (Number(fields[first]) + Number(fields[first + 1])) / ticksPerSecond);
    return { parent: Number(fields[1]), seconds: own!, endedSeconds: ended! };
  } catch {
    return null;
  }
}

/** Of one process. */
export function cpuSeconds(pid: number): number | null {
  return statOf(pid)?.seconds ?? null;
}

/** Of a process and its children, ended ones too: PostgreSQL and its backends. */
export function cpuSecondsWithChildren(pid: number): number | null {
  const own = statOf(pid);
  if (own === null) return null;
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(statOf).filter((stat) => stat?.parent === pid);
  return children.reduce((sum, stat) => sum + stat!.seconds, own.seconds + own.endedSeconds);
}

/** Resident memory; 0 where the kernel does not tell. */
export function residentMegabytes(pid: number): number {
  try {
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}
