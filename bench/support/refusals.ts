/** Benchmarks, attacks and chaos make and ruin databases of their own: where another one could be meant they do nothing. */

const variables = ['DATABASE_URL', 'ROOT_DATABASE_URL', 'SHADOW_DATABASE_URL', 'DATABASE_AUTHENTICATOR_URL', 'DATABASE_WORKER_URL', 'READ_REPLICA_URL'];

/** Ends the process with exit code 2 when it could reach a database that is not its own. */
export function refuseForeignDatabase(env: NodeJS.ProcessEnv = process.env): void {
  const named = variables.filter((name) => env[name]);
  if (named.length > 0) refuse(`${named.join(', ')} is set. This makes and ruins a database of its own and touches no other.`, `Run it without ${named.join(', ')}.`);
}

export function refuse(message: string, remedy: string): never {
  process.stderr.write(`REFUSED: ${message}\n${remedy}\n`);
  process.exit(2);
}
