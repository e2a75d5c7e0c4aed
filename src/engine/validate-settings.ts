/** E003 and W002 of limits and bandwidths. */
import { bandwidthSchema, limitsSchema } from './document-schemas.ts';
import { checkBySchema, warnUnknownKeys, withoutNulls } from './validate-schema.ts';
import type { Checking } from './validate.ts';
import type { JsonObject } from './types.ts';

const keysOf = (schema: JsonObject): Set<string> => new Set(Object.keys(schema.properties as JsonObject));

export function checkSettings({ draft, report }: Checking): void {
  const limits = withoutNulls(draft.limits);
  checkBySchema(limits, limitsSchema, { field: 'limits' }, report);
  warnUnknownKeys(draft.limits, keysOf(limitsSchema), { field: 'limits' }, report);
  for (const { bandwidth, field } of draft.queues) {
    checkBySchema(bandwidth, bandwidthSchema, { field: `${field}.bandwidth` }, report);
    warnUnknownKeys(bandwidth, keysOf(bandwidthSchema), { field: `${field}.bandwidth` }, report);
  }
}
