/** Who is that process, and is it still the same one? Process ids come back, so an id alone never answers. */
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';

export interface ProcessIdentity {
  pid: number;
  /** What the system says about the moment it started; only compared, never parsed. */
  born: string;
  /** Name of the program. */
  program: string;
}

/** Null when there is no such process, or only its unreaped remains. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!Number.isInteger(pid) || pid <= 0) return null;
  return process.platform === 'linux' ? identifyByProc(pid) : identifyByPs(pid);
}

export function isSameProcess(known: { pid: number; born: string }): boolean {
  return identifyProcess(known.pid)?.born === known.born;
}

/** Is the folder the process's working folder (or, where the system does not tell, named in its command line)? */
export function isAtWorkIn(pid: number, folder: string): boolean {
  if (process.platform !== 'linux') return (spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout ?? '').includes(folder);
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(folder);
  } catch {
    return false; // not ours to look at: so not ours
  }
}

/** Waits until the process is gone; false when it is still there after `milliseconds`. */
export async function waitForEnd(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (identifyProcess(pid) !== null) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

function identifyByProc(pid: number): ProcessIdentity | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null; // no such process: the answer, not a fault
  }
  // The program's name stands in parentheses and may hold spaces and parentheses itself.
  const program = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, born] = [fields[0], fields[19]];
  if (state === 'Z' || state === 'X' || born === undefined) return null;
  return { pid, born, program };
}

function identifyByPs(pid: number): ProcessIdentity | null {
  const ps = spawnSync('ps', ['-o', 'stat=,lstart=,comm=', '-p', String(pid)], { encoding: 'utf8' });
  const match = /^(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/.exec((ps.stdout ?? '').trim());
  if (!match || match[1]!.startsWith('Z')) return null;
  return { pid, born: match[2]!, program: match[3]!.split('/').at(-1)! };
}
