/**
 * What the database answers when it is asked for its schema. Where that is known before there is a schema, since an equal database has answered
 * it before, the API is made meanwhile.
 */
import type { CallerClient, Statement, WithCallerClient } from '../store/caller-transactions.ts';

/** Rows by question. */
export type Answers = Record<string, readonly unknown[]>;

export interface SchemaAnswers {
  known: Answers;
  /** Is told all answers, the known ones too, when one has come in. */
  keep(answers: Answers): void;
  /** Settles when the schema is there; the database is not asked for anything before. */
  ready: Promise<unknown>;
}

/** With these the schema is asked for, and nothing else: they are known by their identity. */
export const schemaSettings = Object.freeze({ role: 'agentflow_user' });

export function knowingAnswers(withClient: WithCallerClient, { known, keep, ready }: SchemaAnswers): WithCallerClient {
  const answers = { ...known };
  const answered = async (statement: Statement): Promise<readonly unknown[]> => {
    const question = JSON.stringify([statement.text, statement.values ?? []]);
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
