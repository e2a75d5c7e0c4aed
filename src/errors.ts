/**
 * The registry of errors: everything that AgentFlow says went wrong has a stable code here, and nowhere else.
 * SQL raises a registered code with `app_private.fail(code, ...)`, which looks up the SQLSTATE of this list (`AF001` ...).
 * Imports nothing.
 */

export interface ErrorEntry {
  /** SQLSTATE when PostgreSQL raises it, else null. */
  sqlstate: string | null;
  httpStatus: number;
  /** May the message be shown to API clients? Otherwise they get `INTERNAL` and an id to quote. */
  isPublic: boolean;
  summary: string;
  remedy: string;
}

const entry = (sqlstate: string | null, httpStatus: number, summary: string, remedy: string, isPublic = true): ErrorEntry =>
  ({ sqlstate, httpStatus, isPublic, summary, remedy });

const identity = {
  UNAUTHENTICATED: entry('AF401', 401, 'No valid identity came with the request.', 'Call authenticate, or send a valid X-API-Key.'),
  INVALID_CREDENTIALS: entry('AF402', 401, 'E-mail or password is wrong.', 'Check both; an admin can issue a reset link.'),
  TOKEN_EXPIRED: entry(null, 401, 'The bearer token has expired.', 'Call authenticate again.'),
  TOKEN_INVALID: entry(null, 401, 'The bearer token or API key is not valid.', 'Call authenticate again, or use another key.'),
  TOO_MANY_ATTEMPTS: entry(null, 429, 'There were too many failed attempts.', 'Wait a quarter of an hour, then try again.'),
  PERMISSION_DENIED: entry('AF403', 403, 'This role or key may not do that.', 'Ask an admin of the tenant for the right named in the message.'),
} as const satisfies Record<string, ErrorEntry>;

const objects = {
  NOT_FOUND: entry('AF404', 404, 'There is no such object, or it is not yours to see.', 'Check the id.'),
  VERSION_CONFLICT: entry('AF409', 409, 'Somebody changed the object meanwhile.', 'Read it again and repeat the change on the new version.'),
  IDEMPOTENCY_CONFLICT: entry('AF410', 409, 'This idempotency key was used with another input.', 'Use a new key, or send the same input.'),
  ILLEGAL_TRANSITION: entry('AF411', 409, 'The object is in a state that does not allow this.', 'Look at its status.'),
  SOURCE_IN_USE: entry('AF412', 409, 'A published workflow uses this source.', 'Archive those workflows, or repeat with force: true.'),
  LAST_ADMIN: entry('AF414', 409, 'A tenant keeps at least one active admin.', 'Make somebody else an admin first.'),
  LINK_INVALID: entry('AF415', 410, 'This one-time link cannot be used: it was used, has expired, was withdrawn, or is not needed.', 'Ask an admin for a new one.'),
  UNIQUE_VIOLATION: entry('23505', 409, 'There is already one with this value.', 'Choose another value.'),
  REFERENCE_VIOLATION: entry('23503', 409, 'The object referred to does not exist.', 'Check the id.'),
  NOT_NULL_VIOLATION: entry('23502', 400, 'A required value is missing.', 'Give the value named in field.'),
  CHECK_VIOLATION: entry('23514', 400, 'A value breaks a rule of the schema.', 'Choose a value that keeps the rule: the message says it, constraint and field name it.'),
  INVALID_VALUE: entry('AF400', 400, 'A value is not acceptable.', 'Correct the value: the message says what is wrong with it, and field names it.'),
  TOO_LARGE: entry('AF413', 413, 'The value is larger than allowed.', 'Send less.'),
  INVALID_WORKFLOW: entry('AF422', 422, 'The workflow is not valid.', 'validateWorkflow lists every problem.'),
  WORKFLOW_NOT_RUNNABLE: entry('AF423', 409, 'This workflow cannot be executed in its present status.', 'Publish it, or run a draft as a developer.'),
  INVALID_FLOW: entry('AF424', 422, 'The flow is not valid.', 'validateFlow lists every problem.'),
  FLOW_NOT_RUNNABLE: entry('AF425', 409, 'This flow cannot be executed in its present status.', 'Activate it.'),
} as const satisfies Record<string, ErrorEntry>;

const api = {
  BAD_REQUEST: entry(null, 400, 'The request is not well-formed.', 'Correct the request: the message says what is wrong with it.'),
  RATE_LIMITED: entry(null, 429, 'There were more requests than are allowed.', 'Wait for the seconds that Retry-After names, then go on more slowly.'),
  DOCUMENT_NOT_TRUSTED: entry(null, 403, 'Only registered operations are served here.', 'Have the operation registered (agentflow documents), or act as an admin.'),
  LIMIT_EXCEEDED: entry(null, 400, 'The request asks for more than is allowed.', 'Ask for less at a time.'),
  TIMEOUT: entry('57014', 504, 'The statement took too long.', 'Ask for less, or try again later.'),
  UNAVAILABLE: entry(null, 503, 'The service is not ready.', 'Try again in a few seconds.'),
  INTERNAL: entry(null, 500, 'Something went wrong on our side.', 'Quote the request id to the operator.', false),
} as const satisfies Record<string, ErrorEntry>;

const operation = {
  CONFIG_INVALID: entry(null, 500, 'The environment is not acceptable.', 'Correct the variables named.'),
  PORT_IN_USE: entry(null, 500, 'The port is taken.', 'Set PORT to another one, or to 0 for a free one.'),
  EXTENSION_INVALID: entry(null, 500, 'An extension cannot be used.', 'Correct what the message names; docs/how-to/add-a-node.md says what an extension is.'),
  DATA_DIR_IN_USE: entry(null, 500, 'Another AgentFlow uses this data folder.', 'Stop it, or set AGENTFLOW_DATA_DIR to another folder.'),
  DATA_DIR_UNUSABLE: entry(null, 500, 'The data folder cannot be used.', 'Give its folder to the user who starts AgentFlow, or set AGENTFLOW_DATA_DIR to another folder.'),
  DATA_DIR_VERSION: entry(null, 500, 'The data folder was made by another PostgreSQL version.', 'Use that version, or dump and restore; or set AGENTFLOW_DATA_DIR to a new folder.'),
  EMBEDDED_POSTGRES: entry(null, 500, 'The embedded PostgreSQL did not start.', 'See the server log named in the message.'),
  POSTGRES_UNSUPPORTED: entry(null, 500, 'This PostgreSQL version is not supported.', 'Use 14.14, 15.9, 16.5, 17.1 or a later minor, or 18.'),
  DATABASE_UNREACHABLE: entry(null, 503, 'The database does not answer.', 'Check DATABASE_URL and the server.'),
  DATABASE_BEHIND: entry(null, 500, 'The database lacks migrations that this version needs.', 'Run: agentflow db migrate'),
  DATABASE_AHEAD: entry(null, 500, 'The database has migrations that this version does not know.', 'Update AgentFlow, or use another database.'),
  DATABASE_IN_USE: entry(null, 500, 'Somebody is connected to a database that must be made anew.', 'Disconnect those named, then repeat.'),
  MIGRATION_INVALID: entry(null, 500, 'The migration or its fixtures are not well-formed.', 'Correct the places named; nothing was run.'),
  MIGRATION_FAILED: entry(null, 500, 'A migration could not be run.', 'Correct the place named; the database is as it was before.'),
  MIGRATION_EDITED: entry(null, 500, 'A committed migration was edited.', 'Restore the file from version control, and write the change as a new migration.'),
  ROLLBACK_REFUSED: entry(null, 500, 'The rollback is not the exact inverse of its migration.', 'Correct the file in migrations/rollback; nothing was run on the database.'),
  DATA_LOSS: entry(null, 500, 'This loses data.', 'Repeat with --accept-loss if that is what you want; a dump before it is the only way back.'),
  ROLE_MISSING: entry(null, 500, 'A database role is missing.', 'Run the SQL printed, or db migrate as a role with CREATEROLE.'),
  USAGE: entry(null, 400, 'The command was called wrongly.', 'See --help.'),
} as const satisfies Record<string, ErrorEntry>;

const running = {
  NODE_FAILED: entry(null, 500, 'A node failed.', 'See its error.'),
  NODE_TIMEOUT: entry(null, 504, 'A node took longer than its timeout.', 'Raise timeout on the node, or make its work smaller.'),
  INPUT_INVALID: entry(null, 400, 'The input breaks the rules of an input node.', 'Send an input that satisfies its validation.'),
  EXPRESSION_FAILED: entry(null, 400, 'An expression could not be evaluated.', 'Check the names and types it uses.'),
  SOURCE_MISSING: entry(null, 400, 'A node names a source that is nowhere.', 'Add the source to the document or to the tenant.'),
  SOURCE_KEY_MISSING: entry(null, 400, 'The key of a source is not set.', 'Set the variable named in the message, or AGENTFLOW_LLM_GATEWAY_URL.'),
  SOURCE_NOT_ALLOWED: entry(null, 403, 'A source may not do that here.', 'Ask the operator; see AGENTFLOW_SOURCE_ENV and AGENTFLOW_ALLOW_HOSTS.'),
  SOURCE_UNAUTHORIZED: entry(null, 502, 'A source refused the key or the rights of the call.', 'Check the key, its rights, and that it belongs to this service.'),
  SOURCE_UNPAID: entry(null, 502, 'A source asks for payment.', 'Add credit or change the plan at the provider, or use another source.'),
  SOURCE_FAILED: entry(null, 502, 'A source answered with an error.', 'Correct what the message names, there or in the source; try again if it is passing.'),
  SOURCE_UNAVAILABLE: entry(null, 503, 'A source did not answer, or asked to try later.', 'It is tried again by itself as the retry policy says.'),
  SOURCE_PAUSED: entry(null, 503, 'A source failed several times in a row and is not called for a while.', 'It is tried out again by itself; testSource says what is wrong with it. A fallback takes its place meanwhile.'),
  BUDGET_EXHAUSTED: entry(null, 429, 'A monthly budget for models is used up.', 'Let an admin of the tenant raise it (saveBudget), or wait for the next month.'),
  QUOTA_EXCEEDED: entry('AF429', 429, 'The tenant has used up one of its quotas.', 'The message names the quota. Wait until there is room again, or ask who runs the platform for more.'),
  ANSWER_INVALID: entry(null, 502, 'A model answered in another form than asked.', 'Make the prompt or the schema clearer.'),
  WORKER_UNKNOWN: entry('AF510', 503, 'The worker process was taken for dead.', 'It registers anew by itself.', false),
  WORKER_LOST: entry(null, 500, 'Worker processes died again and again while they ran this execution.', 'Look for a node that takes too much memory; then execute it again.'),
  EXECUTION_POISONED: entry(null, 500, 'No worker could run this execution; each try failed outside of its nodes.', 'Let the operator look at the server log, then try it again with retryExecution or retryFlowExecution.'),
  LIMIT_NODES: entry(null, 400, 'The execution ran more nodes than allowed.', 'Raise limits.max_nodes, or make the workflow smaller.'),
  LIMIT_TOKENS: entry(null, 400, 'The execution used more tokens than allowed.', 'Raise limits.max_tokens.'),
  LIMIT_COST: entry(null, 400, 'The execution cost more than allowed.', 'Raise limits.max_cost.'),
  LIMIT_TIME: entry(null, 400, 'The execution took longer than allowed.', 'Raise limits.max_seconds.'),
  LIMIT_STATE: entry(null, 400, 'The state of the execution grew too large.', 'Keep less in the state, or raise limits.max_state_bytes.'),
  LIMIT_DEPTH: entry(null, 400, 'Workflows call each other more deeply than allowed.', 'Call fewer workflows from within each other; look for one that calls itself.'),
  LIMIT_OUTPUT: entry(null, 400, 'One node returned too much.', 'Return less, or raise limits.max_output_bytes.'),
  TASK_MISSING: entry(null, 500, 'No task of this name is registered.', 'Add its file to tasks/flow, or to an extension; see docs/how-to/add-a-task.md.'),
  TASK_FAILED: entry(null, 500, 'A task failed.', 'See its error.'),
  NOT_SUPPORTED: entry(null, 501, 'This part is not available in this version.', 'See the documentation.'),
} as const satisfies Record<string, ErrorEntry>;

export const errorRegistry = { ...identity, ...objects, ...api, ...operation, ...running } as const satisfies Record<string, ErrorEntry>;

/** The same by what they are about, as docs/errors.md lists them. */
export const errorSections: Readonly<Record<string, Readonly<Record<string, ErrorEntry>>>> = {
  'Who is asking': identity,
  'Objects and values': objects,
  'Requests': api,
  'Configuration, start and the command line': operation,
  'Executions, nodes and tasks': running,
};

export type ErrorCode = keyof typeof errorRegistry;

/** An error with a registered code. `details` may hold `field`, `constraint` and what else helps; never secrets. */
export class AgentFlowError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message?: string, options: { remedy?: string; details?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message ?? errorRegistry[code].summary, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AgentFlowError';
    this.code = code;
    this.remedy = options.remedy ?? errorRegistry[code].remedy;
    this.details = options.details ?? {};
  }
}

/** A failure of a node. Transient ones are tried again within the node's retry policy. */
export class NodeError extends AgentFlowError {
  readonly transient: boolean;
  readonly retryAfterSeconds: number | null;

  constructor(code: ErrorCode, message: string, options: { transient?: boolean; retryAfterSeconds?: number | null; remedy?: string; cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(code, message, options);
    this.name = 'NodeError';
    this.transient = options.transient ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }
}
