/** Numbers that a bench is given. */
import { refuse } from './own-cluster.ts';

/** Ends the process with exit code 2 when it is none above zero. */
export function positive(name: string, given: string): number {
  const value = Number(given);
  if (!(value > 0 && Number.isFinite(value))) refuse(`--${name} is ${given}.`, `Give a number above zero.`);
  return value;
}
