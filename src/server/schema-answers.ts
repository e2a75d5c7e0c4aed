/**
 * What the database answers when it is asked for its schema. Where that is known before there is a schema, since an equal database has answered
 * it before, the API is made meanwhile.
 */
import type { CallerClient, Statement, WithCallerClient } from '../store/caller-transactions.ts';

/** Rows by question. */
export type Answers = Record<string, readonly unknown[]>;

export interface SchemaAnswers {
  /** Those that are not there yet are waited for. */
  known: Answers | Promise<Answers>;
  /** Is told all answers, the known ones too, when one has come in. */
  keep(answers: Answers): void;
  /** Settles when the schema is there; the database is not asked for anything before. */
  ready: Promise<unknown>;
}

/** With these the schema is asked for, and nothing else: they are known by their identity. */
export const schemaSettings = Object.freeze({ role: 'agentflow_user' });

/** As answers are found by. */
export function questionOf({ text, values = [] }: Pick<Statement, 'text' | 'values'>): string {
  return JSON.stringify([text, values]);
}

export function knowingAnswers(withClient: WithCallerClient, { known, keep, ready }: SchemaAnswers): WithCallerClient {
  const copying = Promise.resolve(known).then((there) => ({ ...there }));
  const answered = async (statement: Statement): Promise<readonly unknown[]> => {
    const answers = await copying;
    const question = questionOf(statement);
    const rows = answers[question];
    if (rows !== undefined) return rows;
    await ready;
    answers[question] = (await withClient(schemaSettings, (client) => client.query(statement))).rows;
    keep(answers);
    return answers[question];
  };
  const client: CallerClient = {
    query: async (statement) => {
      const rows = await answered(statement);
      return { rows: rows as never[], rowCount: rows.length, notices: [] };
    },
    withTransaction: (use) => use(client),
  };
  return async (settings, use) => (settings === schemaSettings ? use(client) : withClient(settings, use));
}
