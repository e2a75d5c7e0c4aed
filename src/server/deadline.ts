/** The time that a request may take in all: when it is over, the caller is told so, and nothing more is begun. */
import { AgentFlowError } from '../errors.ts';
import { currentScope } from './scope.ts';

type Settings = Record<string, string | undefined>;

/** Until the caller is told, a statement that is just running may end by its own limit: then its error says more. */
const answerMarginMs = 250;

/** Settings of a transaction, in which a statement takes no longer than the request has. Throws TIMEOUT when its time is over. */
export function withinDeadline<S extends Settings | null>(settings: S): S {
  const deadline = currentScope()?.deadline;
  if (deadline === undefined || settings === null) return settings;
  const left = Math.ceil(deadline - performance.now());
  if (left <= 0) throw new AgentFlowError('TIMEOUT', 'The request took too long.');
  return { ...settings, statement_timeout: String(Math.min(Number(settings['statement_timeout'] ?? left), left)) };
}

/** What the database is asked before a request can be served. Throws UNAVAILABLE when it has not answered by the end of the request's time. */
export function answeredInTime<T>(work: PromiseLike<T>): Promise<T> {
  return beforeDeadline(work, () => Promise.reject(new AgentFlowError('UNAVAILABLE', 'The database does not answer.')));
}

/** What `work` gives, or what `late` gives when that takes longer than the request may. */
export async function beforeDeadline<T>(work: PromiseLike<T> | T, late: () => PromiseLike<T> | T): Promise<T> {
  const deadline = currentScope()?.deadline;
  if (deadline === undefined) return await work;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(late()), Math.max(0, deadline - performance.now()) + answerMarginMs);
  });
  return await Promise.race([work, over]).finally(() => clearTimeout(timer));
}
