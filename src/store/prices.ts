/** Prices of models, as who runs the installation keeps them: on the owner's login. */
import type pg from 'pg';

export interface PriceRow {
  model: string;
  /** A day, ISO. */
  validFrom: string;
  /** US dollars, as texts: `2.500000`. */
  inputPerMillion: string;
  outputPerMillion: string;
  perImage: string;
  /** Null: it came with AgentFlow. */
  changedBy: string | null;
}

export interface NewPrice {
  model: string;
  input: string;
  output: string;
  image: string;
  /** Null: today. */
  from: string | null;
}

const columns = `model, valid_from::text as "validFrom", input_per_million as "inputPerMillion", output_per_million as "outputPerMillion", per_image as "perImage", changed_by as "changedBy"`;

/** The newest of each model first. */
export async function listPrices(client: pg.ClientBase): Promise<PriceRow[]> {
  return (await client.query<PriceRow>(`select ${columns} from app_public.operator_model_prices()`)).rows;
}

/** Raises INVALID_VALUE; what is no number or day, PostgreSQL's 22P02 or 22007. */
export async function setPrice(client: pg.ClientBase, { model, input, output, image, from }: NewPrice): Promise<PriceRow> {
  const { rows } = await client.query<PriceRow>(`select ${columns} from app_private.set_model_price($1, $2, $3, $4, $5)`, [model, input, output, image, from]);
  return rows[0]!;
}
