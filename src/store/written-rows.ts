/**
 * What a key may write it sees, in the very statement that writes it and nowhere else: PostgreSQL finds the row of an update, and gives back what was
 * written, under the policies for reading. People who may write may read anyway.
 */
import type { Settings } from './settled-query.ts';

/** How PostGraphile's own mutations begin; those of functions look at rights themselves. */
const writing = /^\s*(?:insert into|update)\s+"app_public"\."(\w+)"/i;
const claim = 'jwt.claims.permissions';

/** The settings under which a transaction begins whose first statement is `text`. */
export function withSightOfWritten(settings: Settings, text: string): Settings {
  const given = settings[claim];
  const area = given ? writing.exec(text)?.[1] : undefined;
  if (!given || area === undefined) return settings;
  const permissions = JSON.parse(given) as Record<string, unknown>;
  const verbs = Object.hasOwn(permissions, area) ? permissions[area] : undefined;
  if (!Array.isArray(verbs) || !verbs.includes('write') || verbs.includes('read')) return settings;
  return { ...settings, [claim]: JSON.stringify({ ...permissions, [area]: [...verbs as unknown[], 'read'] }) };
}
