/** Values of PostgreSQL as JSON: numbers where nothing is lost, texts otherwise. */
import pg from 'pg';
import type { Json, JsonObject } from '../../engine/types.ts';

const exactDigits = 15;
const { builtins } = pg.types;
const oids = { point: 600, circle: 718 } as const;

const numberOrText = (text: string): number | string =>
  (/^-?\d+(\.\d+)?$/.test(text) && text.replace(/[-.]/g, '').replace(/^0+/, '').length <= exactDigits ? Number(text) : text);
/** As jsonb writes times: `2026-01-31T12:00:00+00:00`. */
const isoTime = (text: string): string => text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00');
const same = (text: string): string => text;

const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  [builtins.INT8]: numberOrText, [builtins.NUMERIC]: numberOrText, [builtins.OID]: numberOrText,
  [builtins.TIMESTAMP]: isoTime, [builtins.TIMESTAMPTZ]: isoTime,
  [builtins.DATE]: same, [builtins.INTERVAL]: same, [builtins.BYTEA]: same, [oids.point]: same, [oids.circle]: same,
};
const textArray = pg.types.getTypeParser(1009 as never) as (text: string) => unknown[];
/** Arrays whose elements `pg` would make objects of: timestamps, dates, intervals, bytea, int8, numeric, points. */
const elementOf: Readonly<Record<number, number>> = { 1115: builtins.TIMESTAMP, 1185: builtins.TIMESTAMPTZ, 1182: builtins.DATE, 1187: builtins.INTERVAL, 1001: builtins.BYTEA, 1016: builtins.INT8, 1231: builtins.NUMERIC, 1017: oids.point };

export const jsonTypes = {
  getTypeParser(oid: number, format?: string): (text: string) => unknown {
    const element = elementOf[oid];
    if (element !== undefined) return (text) => mapped(textArray(text), parsers[element]!);
    return parsers[oid] ?? (pg.types.getTypeParser(oid, format as never) as (text: string) => unknown);
  },
};

function mapped(value: unknown, parse: (text: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((entry) => mapped(entry, parse));
  return value === null ? null : parse(value as string);
}

/** NaN and infinities of floats are texts: JSON has no numbers for them. A column name that occurs twice gets a number. */
export function rowOf(fields: readonly string[], values: readonly unknown[]): JsonObject {
  const row: JsonObject = Object.create(null) as JsonObject;
  fields.forEach((name, index) => {
    row[freeName(name, row)] = jsonOf(values[index]);
  });
  return { ...row };
}

function freeName(name: string, row: JsonObject): string {
  let free = name === '__proto__' ? '_proto_' : name;
  for (let number = 2; free in row; number += 1) free = `${name}_${number}`;
  return free;
}

function jsonOf(value: unknown): Json {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (Array.isArray(value)) return value.map(jsonOf);
  return (value ?? null) as Json;
}

/** A list or object is sent as JSON where PostgreSQL does not take it for an array of plain values. */
export function bindable(value: Json): unknown {
  if (Array.isArray(value)) return value.every((entry) => typeof entry !== 'object' || entry === null) ? value : JSON.stringify(value);
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
