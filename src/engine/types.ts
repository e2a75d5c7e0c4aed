/**
 * The words of the engine: documents, plans, run states, events, commands, and the port that a node type is handed.
 * Nothing here does anything. Sources: the workflow semantics page (docs/workflows.md).
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/* ---------- problems ---------- */

/** One finding of validation. `field` is a dotted path into the document as sent, e.g. `nodes.2.metadata.temperature`. */
export interface Problem {
  code: string;
  message: string;
  field: string | null;
  nodeId: string | null;
}

export interface Validation {
  valid: boolean;
  errors: Problem[];
  warnings: Problem[];
}

/* ---------- the normalised document (one dialect, defaults filled in) ---------- */

export type SourceKind = 'llm' | 'image' | 'db' | 'api';
export type OnError = 'fail' | 'continue';

export interface RetryPolicy {
  maxAttempts: number;
  initialSeconds: number;
  maxSeconds: number;
}

export interface SourceSpec {
  id: string;
  kind: SourceKind;
  /** Inline configuration, or null when `ref` names a row of `sources`. */
  config: JsonObject | null;
  ref: string | null;
}

export interface QueueSpec {
  id: string;
  from: string;
  to: string;
  maxMessagesPerSecond: number | null;
  maxRequestsPerMinute: number | null;
  maxTokensPerMinute: number | null;
  burstSize: number | null;
}

export interface NodeSpec {
  id: string;
  type: string;
  description: string | null;
  outputKey: string | null;
  timeoutSeconds: number | null;
  retry: RetryPolicy;
  onError: OnError;
  /** Normalised type-specific parameters: `metadata` under the canonical key names. */
  parameters: JsonObject;
}

export interface EdgeSpec {
  from: string;
  to: string[];
  condition: string | null;
  isDefault: boolean;
  queue: string | null;
  /** What a drawing says of the edge instead of its condition. */
  label?: string;
}

export interface Limits {
  maxParallelNodes: number;
  maxNodes: number;
  maxTokens: number | null;
  /** US dollars. */
  maxCost: number | null;
  maxSeconds: number;
  maxStateBytes: number;
  maxOutputBytes: number;
}

export interface WorkflowDocument {
  nodes: NodeSpec[];
  edges: EdgeSpec[];
  queues: QueueSpec[];
  sources: SourceSpec[];
  startNode: string;
  initialState: JsonObject;
  limits: Limits;
}

/* ---------- the plan: a document made ready to run; immutable, cached by version id ---------- */

export interface PlanEdge extends EdgeSpec {
  /** Position in the document. */
  index: number;
}

export interface PlanNode extends NodeSpec {
  /** Position in the document: settles every tie. */
  index: number;
  /** True when the node reaches outside and is checkpointed before anything that depends on it starts. */
  hasEffect: boolean;
  /** Id of the document source this node uses; null when it uses none or only inline keys. */
  sourceId: string | null;
  sourceKind: SourceKind | null;
  /** Distinct neighbours, in document order. */
  predecessors: string[];
  successors: string[];
  outgoing: PlanEdge[];
  /** Queues in front of this node, by the predecessor whose edge runs through them. */
  queues: Map<string, QueueSpec>;
  /** State keys this node may write: its output key and what its type writes beside it. */
  writtenKeys: string[];
  /** Per key: nodes later in the document that can run at the same time and write it too. Their value stays when they finished first. */
  yields: Map<string, Set<string>>;
}

export interface Plan {
  document: WorkflowDocument;
  /** Warnings of validation; they never block. */
  warnings: Problem[];
  nodes: Map<string, PlanNode>;
  startNode: string;
}

/* ---------- the run ---------- */

export type NodeStatus =
  | 'pending' | 'running' | 'waiting' | 'rate_limited'
  | 'completed' | 'failed' | 'skipped' | 'timed_out' | 'cancelled';

/** Terminal outcome of one node, as it is stored in `node_executions` and replayed after a crash. */
export interface NodeOutcome {
  nodeId: string;
  status: 'completed' | 'failed' | 'skipped' | 'timed_out' | 'cancelled';
  /** Order of starting, from 1; null for skipped nodes. */
  sequence: number | null;
  /** Order of finishing, from 1: the order in which outputs are written into the state. */
  finishOrder: number;
  output: Json;
  /** State keys written beside the output key (e.g. `intent`). */
  writes: JsonObject;
  error: { code: string; message: string } | null;
  /** What a router decided: the target named by its route, or null. */
  routeTarget: string | null;
  tokens: number;
  /** Unrounded cost in units of 1e-10 US dollars (an integer). */
  costUnits: number;
}

export interface RunNode {
  nodeId: string;
  status: NodeStatus;
  sequence: number | null;
  /** For each predecessor that is settled: whether one of its edges to this node was taken. Null until one is. */
  arrivals: Map<string, boolean> | null;
  /** Intent of the nearest router on the way here, this node included; undefined when there is none. */
  intent: Json | undefined;
}

export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled';

/**
 * The state of one execution. `step` owns it: it changes the maps and sets in place and returns the same object; whoever wants an older state
 * rebuilds it with `restoreRun`. `data` and `outputs` are replaced, never changed, so a snapshot of them costs nothing.
 */
export interface RunState {
  status: RunStatus;
  /** The one JSON object of the execution, with `execution_path`, `tokens_used`, `cost` (US dollars), `errors` kept by the engine. */
  data: JsonObject;
  nodes: Map<string, RunNode>;
  /** Outputs by node id, of finished nodes. */
  outputs: JsonObject;
  /** Node that wrote a key last. */
  writers: Map<string, string>;
  /** Bytes of `data` as compact JSON, by key; and their sum. */
  keyBytes: Map<string, number>;
  dataBytes: number;
  nextSequence: number;
  nextFinishOrder: number;
  /** Ready nodes that wait for a free place among the parallel ones, in document order. */
  ready: string[];
  running: Set<string>;
  tokens: number;
  costUnits: number;
  nodesRun: number;
  warnings: Problem[];
  /** Asked to end: nothing new starts. */
  cancelled: boolean;
  /** The first failure that ends the execution once running siblings are done. */
  failure: { code: string; message: string; nodeId: string | null } | null;
}

export type RunEvent =
  | { type: 'start' }
  | { type: 'node_finished'; outcome: NodeOutcome }
  | { type: 'limit_hit'; code: string; message: string }
  | { type: 'cancel' };

export type RunCommand =
  /** Run this node now; `sequence` is already assigned. `data` and `outputs` are the snapshot that the node sees. */
  | { type: 'run'; nodeId: string; sequence: number; data: JsonObject; outputs: JsonObject }
  /** Record as skipped: it can no longer be reached. */
  | { type: 'skip'; outcome: NodeOutcome }
  /** Abort what runs (cancel). */
  | { type: 'abort'; nodeIds: string[] }
  /** Nothing is left: the execution has ended. */
  | { type: 'finish'; status: 'completed' | 'failed' | 'cancelled'; error: { code: string; message: string; nodeId: string | null } | null };

export interface StepResult {
  state: RunState;
  commands: RunCommand[];
}

/* ---------- the port that a node type is handed ---------- */

export interface LlmRequest {
  prompt: string;
  system: string | null;
  /** Null: what the source's config says, else 0.7. */
  temperature: number | null;
  /** Null: what the source's config says, else 4096. */
  maxTokens: number | null;
  topP: number | null;
  /** Ask for a JSON answer; the schema, when given, is a JSON Schema that the answer must satisfy. */
  json: { schema: JsonObject | null } | null;
  /** Told what the answer is so far, while it grows; asks for a streamed answer. */
  onText?(text: string): void;
}

export interface LlmAnswer {
  text: string;
  model: string;
  inputTokens: number;
  outputTokens: number;
  /** The provider did not say: counted by length. */
  estimated: boolean;
  costUnits: number;
  /** Built-in deterministic answer (AGENTFLOW_MOCK_LLM=1). */
  mock: boolean;
  /** It came from the cache of the source: nothing was asked, nothing cost. */
  isCached?: boolean;
}

export interface ImageRequest { prompt: string; size: string | null; quality: string | null; style: string | null }
export interface ImageAnswer { url: string | null; bytes: Uint8Array | null; mediaType: string | null; model: string; size?: string | null; costUnits: number; mock?: boolean; isCached?: boolean }

export interface DbRequest { text: string; values: Json[]; limit: number; timeoutSeconds: number }
export interface ApiRequest { method: string; path: string; query: JsonObject; headers: Record<string, string>; body: Json | undefined; pagination?: Json }
/** `pages`: how many were read, where there are pages; `truncated`: there are more. */
export interface ApiAnswer { status: number; headers: Record<string, string>; body: Json; pages?: number; truncated?: boolean; isCached?: boolean }

/** The guarded way to the outside, already bound to this node's source, abort signal and idempotency key. */
export interface SourcePort {
  llm(request: LlmRequest): Promise<LlmAnswer>;
  image(request: ImageRequest): Promise<ImageAnswer>;
  db(request: DbRequest): Promise<{ rows: JsonObject[]; truncated: boolean; isCached?: boolean }>;
  api(request: ApiRequest): Promise<ApiAnswer>;
}

export interface NodeContext {
  node: PlanNode;
  parameters: JsonObject;
  /** Snapshot of the state when the node started. Not to be changed. */
  state: JsonObject;
  outputs: JsonObject;
  /** From 1. */
  attempt: number;
  /** The same for every try of this node in this execution. */
  idempotencyKey: string;
  signal: AbortSignal;
  log(level: 'info' | 'warn' | 'error', message: string): void;
  /** Present when the node type says it needs a source (and for nodes with an optional one). */
  source: SourcePort | null;
  /**
   * Where queues stand in front of the node: its turn for a further call within the same run. Null: go on. Otherwise return the wait; the node is then
   * run again with `kept`. Absent without queues.
   */
  nextTurn?(keep: JsonObject): Promise<NodeWaits | null>;
  /** What the node kept when it began to wait for its next turn; null otherwise. */
  kept?: JsonObject | null;
  /** Keeps bytes beside the execution and gives the id under which they are served. Absent where nothing is kept. */
  saveArtifact?(bytes: Uint8Array, mediaType: string): Promise<string>;
  /**
   * Undefined on the first run. When the node is run again after waiting: what it waited for (approval `{decision: approved | rejected, comment, decided_by, decided_at}`,
   * child execution `{status, final_state, error_message, execution_id}`), or null when the time of its wait was up.
   */
  resumedWith: Json | undefined;
}

export interface NodeDone {
  kind: 'done';
  output: Json;
  /** What is recorded as `node_executions.input`. */
  input?: Json;
  writes?: JsonObject;
  routeTarget?: string | null;
  tokens?: number;
  costUnits?: number;
  warnings?: string[];
}

/** "Later": holds no worker until `until`, a decision or a child's end. */
export interface NodeWaits {
  kind: 'wait';
  reason: 'delay' | 'approval' | 'child' | 'rate_limit' | 'retry';
  /** ISO time after which the node is run again even if nothing else wakes it; null waits for the event alone. */
  until: string | null;
  /** The same as a span from now, in seconds, on the database's clock; at most one of the two is set. */
  afterSeconds: number | null;
  /** Kept in the node row and shown to people (message, roles, child workflow ...). */
  details: JsonObject;
}

export type NodeResult = NodeDone | NodeWaits;

/** What the checks of a node type may use. */
export interface ValidationTools {
  /** Says what is wrong with a statement that must be exactly one SELECT, or null. Absent when no SQL parser was given: then nothing is said. */
  checkSelect: ((text: string) => string | null) | null;
}

/** One node type = one file in src/nodes; the folder is the list. */
export interface NodeType {
  type: string;
  /** One sentence, shown in documentation. */
  summary: string;
  /** JSON Schema (2020-12) of `metadata` under canonical names. */
  parameters: JsonObject;
  /** Kind of source it works on; null when none. */
  sourceKind: SourceKind | null;
  /** When false a source may be absent (router, aggregator). */
  sourceRequired: boolean;
  /** Where a source may be absent: is one needed with these parameters after all (a router that asks a model)? */
  needsSource?(parameters: JsonObject): boolean;
  /** Reaches outside with these parameters? Pure nodes cost no round trip. */
  hasEffect(parameters: JsonObject): boolean;
  defaultOutputKey(parameters: JsonObject): string | null;
  /** State keys that it writes beside its output key. */
  alsoWrites?: string[];
  /** Checks beyond the schema. `field` is relative to the node's metadata, under canonical names (`routes.0.pattern`). */
  validate?(node: NodeSpec, tools: ValidationTools): Problem[];
  example: JsonObject;
  /** Answers at once (no promise) when it has no effect with these parameters. */
  run(context: NodeContext): NodeResult | Promise<NodeResult>;
}
