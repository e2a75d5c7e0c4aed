/** Numbers over all tenants that the database knows of its work; null where it does not answer. */
import type { Pool } from 'pg';

export type OperatingFigures = ReadonlyMap<string, number>;

/** Several figures are read at once: one question serves all of them, for a second. */
export function makeOperatingFigures(db: Pool): () => Promise<OperatingFigures | null> {
  let asked: { atMs: number; figures: Promise<OperatingFigures | null> } | null = null;
  return () => {
    if (asked === null || performance.now() - asked.atMs > 1_000) asked = { atMs: performance.now(), figures: read(db).catch(() => null) };
    return asked.figures;
  };
}

async function read(db: Pool): Promise<OperatingFigures> {
  const { rows } = await db.query<{ name: string; value: number }>({ name: 'operating_figures', text: 'select name, value from app_private.operating_figures()' });
  return new Map(rows.map(({ name, value }) => [name, value]));
}
