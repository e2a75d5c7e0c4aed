/** Times on the command line: ISO 8601, a day or a moment. What has no zone is UTC. */
import { InvalidArgumentError } from 'commander';

const shape = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?)?$/i;

/** As the API writes it: `2026-01-31T12:00:00.000Z`. */
export function parseTime(text: string): string {
  const [, day, hour = '00:00', zone = 'Z'] = shape.exec(text) ?? [];
  const time = new Date(day === undefined ? Number.NaN : `${day}T${hour}${zone}`);
  // A day that its month does not have would be one of the next.
  if (Number.isNaN(time.getTime()) || new Date(`${day}T00:00Z`).toISOString().slice(0, 10) !== day) {
    throw new InvalidArgumentError('a time such as 2026-01-31 or 2026-01-31T12:00:00Z is expected.');
  }
  return time.toISOString();
}
