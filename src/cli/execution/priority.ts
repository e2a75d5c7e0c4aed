/** `--priority` of what is started. */
import { InvalidArgumentError, Option } from 'commander';

export function priorityOption(): Option {
  return new Option('--priority <number>', 'of what waits for a worker, a higher one begins first: -10 to 10, 0 unless given').argParser(priorityOf);
}

function priorityOf(given: string): number {
  if (!/^-?\d{1,2}$/.test(given)) throw new InvalidArgumentError('It is a whole number from -10 to 10.');
  return Number(given);
}
