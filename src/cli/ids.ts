/** Ids on the command line: of executions, keys and grants. */
import { InvalidArgumentError } from 'commander';

const shape = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function parseId(text: string): string {
  if (!shape.test(text)) throw new InvalidArgumentError('an id such as 01a20277-93be-77cd-83e1-6e354a0a3aa7 is expected; `list` shows which there are.');
  return text.toLowerCase();
}
