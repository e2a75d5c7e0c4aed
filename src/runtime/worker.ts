/** One worker process: its session, its job runner, and the executions that it drives. */
import type pg from 'pg';
import type { Metrics } from '../metrics.ts';
import { nodeTypes } from '../nodes/index.ts';
import { SecretBox } from '../secrets.ts';
import { createSources, type Sources, type SourceSettings } from '../sources/index.ts';
import { EngineStore } from '../store/engine-store.ts';
import type { ClaimedFlow } from '../store/flow-rows.ts';
import { isFlowRunId } from '../store/flow-run-id.ts';
import { FlowStore } from '../store/flow-store.ts';
import { PermitStore } from '../store/permit-store.ts';
import { SourceStore } from '../store/source-store.ts';
import { makePool } from '../store/pool.ts';
import { isUnknownWorker } from '../store/retry.ts';
import type { ClaimedExecution } from '../store/rows.ts';
import { TakeStore, type Claim } from '../store/take-store.ts';
import { WorkerSession } from '../store/worker-session.ts';
import { Execution } from './execution.ts';
import { FlowRunner } from './flows/flow-runner.ts';
import { boundHeap } from './heap.ts';
import { Intake } from './intake.ts';
import { KindSlots } from './kind-slots.ts';
import { Lives, type Told } from './lives.ts';
import { Places, Place, type PlaceLimits } from './places.ts';
import { loadFlowTasks, type FlowTaskRegistry, type TestTasks } from './flows/registry.ts';
import type { WorkerLog } from './log.ts';
import { PlanCache } from './plans.ts';
import { PriceBook } from './prices.ts';
import { underCaps } from './tenant-caps.ts';
import { standingOf, Suspects } from './suspects.ts';
import { TenantSecrets } from './tenant-secrets.ts';
import { workerMetrics } from './worker-metrics.ts';
import { WaitingRoom } from './waiting-room.ts';
import { Waker } from './waker.ts';
import { jobsAtOnce, superviseRunner, type SupervisedRunner } from './runner.ts';
import type { TaskRuntime } from './tasks.ts';
import type { ExecutionWorld } from './world.ts';

export interface WorkerLimits extends PlaceLimits {
  /** Nodes with an effect that run at a time, by type. */
  perNodeKind: Readonly<Record<string, number>>;
}

export interface WorkerSettings extends SourceSettings {
  /** Opens what tenants have stored; without one nothing is opened. */
  secretKey?: string | null;
  /** Keys before it: they open what was sealed under them. */
  oldSecretKeys?: readonly string[];
  /** Executions driven at a time. */
  workerConcurrency: number;
  /** Of this process; not given: none. */
  workerLimits?: WorkerLimits;
  /** Null: tasks of flows are what their files say. */
  testTasks: TestTasks | null;
}

const orphanSearchEveryMs = 60_000;
/** The lanes, one statement each, and a little more. */
const storeConnections = 8;
/**
 * A plan that is kept for the fetch of jobs is made anew when their table has been vacuumed, mostly while it is empty, and then reads all of many jobs for
 * each that is taken: so one is made for each fetch, which begins with those that come first.
 */
const jobSettings = { plan_cache_mode: 'force_custom_plan', enable_seqscan: 'off', enable_bitmapscan: 'off', enable_hashjoin: 'off', enable_mergejoin: 'off' };

export class Worker implements TaskRuntime {
  readonly #log: WorkerLog;
  readonly #pool: pg.Pool;
  readonly #jobPool: pg.Pool;
  readonly #session: WorkerSession;
  readonly #store: EngineStore;
  readonly #flowStore: FlowStore;
  readonly #permits: PermitStore;
  readonly #sourceStore: SourceStore;
  readonly #intake: Intake<Claim>;
  readonly #waker: Waker;
  readonly #sources: Sources;
  readonly #plans: PlanCache;
  readonly #world: ExecutionWorld;
  readonly #places: Places;
  readonly #suspects: Suspects<Claim>;
  readonly #settings: WorkerSettings;
  readonly #lives: Lives;
  #flowTasks: FlowTaskRegistry = { names: [], testPattern: null, find: () => null };
  #flows: FlowRunner | null = null;
  #runner: SupervisedRunner | null = null;
  #poolIds: string[] = [];
  /** Executions without a place whose end is being written. */
  #ending = 0;
  #orphanSearch: NodeJS.Timeout | null = null;
  #isStopping = false;
  /** When it began to work. */
  #startedMs = 0;

  constructor(settings: WorkerSettings, workerUrl: string, log: WorkerLog, metrics: Metrics | null = null) {
    const counted = workerMetrics(metrics, () => this.#lives.driven.length);
    this.#settings = settings;
    this.#log = log;
    this.#pool = makePool(workerUrl, { max: storeConnections, name: 'agentflow engine', log });
    this.#jobPool = makePool(workerUrl, { max: jobsAtOnce + 1, name: 'agentflow jobs', log, settings: jobSettings });
    this.#session = new WorkerSession({
      connectionString: workerUrl, log,
      jobWorkerIds: () => this.#poolIds,
      flowTasks: () => this.#flowTasks,
      driven: () => this.#lives.driven.map(({ claim }) => claim),
      onLost: (ids) => this.#lives.stop(ids, 'lost'),
      // Those that we drive may have been cancelled, or go on.
      onChanged: (ids) => this.#look(ids),
      isOwn: (processId) => this.#store.isOwnConnection(processId),
    });
    this.#store = new EngineStore(this.#pool, () => this.#session.id, log, (lane, size) => counted.batch(lane, size));
    this.#flowStore = new FlowStore(this.#pool, () => this.#session.id, log);
    this.#permits = new PermitStore(this.#pool, log);
    this.#sourceStore = new SourceStore(this.#pool, log);
    const takes = new TakeStore(this.#pool, () => this.#session.id, log);
    this.#lives = new Lives({
      log, isStopping: () => this.#isStopping,
      drive: (id, claim, told) => this.#take(id, claim, told).catch((error: Error) => this.#faulted(id, error)),
    });
    this.#intake = new Intake<Claim>({
      places: settings.workerConcurrency, log,
      take: (wanted, ofLong) => takes.take(wanted, ofLong),
      forget: async () => this.#lives.stop(await takes.forget(this.#lives.ids), 'lost'),
      begin: (claim) => this.#lives.begin(claim.executionId, claim),
      sort: () => this.#store.sortLongQueues(),
      onUnknown: () => this.#session.hurry(),
      onTaken: (count) => counted.batch('take', count),
    });
    this.#suspects = new Suspects({
      aliveMs: () => performance.now() - this.#startedMs,
      begin: (claim) => this.#store.beginTrial(claim),
      giveBack: (claim, afterMs) => {
        this.#waker.at(afterMs);
        return ('flowExecutionId' in claim ? this.#flowStore : this.#store).release(claim, [], new Date(claim.nowMs + afterMs).toISOString());
      },
    });
    this.#waker = new Waker(() => this.#intake.look());
    const keys = [settings.secretKey ?? null, ...settings.oldSecretKeys ?? []].filter((key) => key !== null);
    const secrets = new TenantSecrets(this.#store, keys.length === 0 ? null : new SecretBox(keys), [...Object.values(settings.sourceValues), settings.llmGateway?.key ?? '']);
    this.#sources = createSources(settings, (tenantId, name) => secrets.open(tenantId, name), this.#sourceStore);
    this.#plans = new PlanCache((id) => this.#store.loadVersion(id));
    this.#world = {
      log, store: this.#store, permits: this.#permits, artifacts: this.#store, sources: this.#sources,
      prices: new PriceBook(() => this.#store.currentPrices()),
      nodeTypes: new Map(nodeTypes.map((type) => [type.type, type])),
      redact: (text) => secrets.redact(text),
      room: new WaitingRoom(settings.workerConcurrency),
      metrics: counted,
      slots: new KindSlots(settings.workerLimits?.perNodeKind ?? {}),
    };
    this.#places = new Places(settings.workerLimits ?? { perTenant: null, perWorkflow: null }, settings.workerConcurrency);
  }

  /** Rejects when the database cannot be reached; from then on restarts of it are survived. */
  async start(): Promise<void> {
    boundHeap(this.#settings.workerConcurrency);
    this.#flowTasks = await loadFlowTasks(this.#settings.testTasks);
    this.#flows = new FlowRunner({ registry: this.#flowTasks, store: this.#flowStore, world: this.#world });
    await this.#session.start();
    this.#startedMs = performance.now();
    this.#runner = await superviseRunner({
      pool: this.#jobPool, runtime: this, intake: this.#intake, log: this.#log,
      onPools: async (poolIds) => {
        this.#poolIds = poolIds;
        await this.#session.announce();
      },
    });
    this.#orphanSearch = setInterval(() => void this.#searchOrphans(), orphanSearchEveryMs);
  }

  /** Nodes are told, leases and jobs given back. Resolves when all is written, at the latest after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#orphanSearch !== null) clearInterval(this.#orphanSearch);
    const stopped = this.#stopAll();
    const late = new Promise<'late'>((resolve) => {
      setTimeout(() => resolve('late'), graceMs).unref();
    });
    if (await Promise.race([stopped, late]) === 'late') this.#log.warn({ graceMs }, 'the worker did not stop in time; others will take over what it held');
  }

  async runExecution(executionId: string): Promise<void> {
    const isNew = !this.#lives.has(executionId);
    // A job that is not run must stay: nothing else knows of its execution.
    if (isNew && !await this.#intake.place()) throw new Error('The worker stops.');
    const claimed = Promise.withResolvers<void>();
    const needsNoPlace = this.#lives.begin(executionId, null, () => claimed.resolve());
    if (isNew) void needsNoPlace.catch(() => undefined).then(() => this.#intake.leavePlace());
    await Promise.race([needsNoPlace, claimed.promise]);
  }

  /** What goes wrong outside of nodes goes wrong again and again, if it is the execution: it is tried a few times, then given up. That this process is taken for dead is nobody's fault. */
  async #faulted(executionId: string, error: Error): Promise<void> {
    if (this.#isStopping || isUnknownWorker(error)) throw error;
    const became = await this.#store.recordFault(executionId);
    const said = { again: 'an execution could not be driven; it is tried again', given_up: 'an execution could not be driven, time and again; it is given up', over: 'an execution could not be driven, and is over' };
    this.#log.error({ err: error, executionId }, said[became]);
  }

  async makePartitions(): Promise<void> {
    const made = await this.#store.makePartitions();
    if (made > 0) this.#log.info({ made }, 'made partitions for the coming months');
  }

  async #take(executionId: string, taken: Claim | null, { claimed, free }: Told): Promise<void> {
    const claim = taken ?? await (isFlowRunId(executionId) ? this.#flowStore : this.#store).claim(executionId);
    if (claim === null) return;
    claimed();
    const standing = standingOf(claim.losses);
    if (standing === 'given up') {
      await this.#store.giveUp(claim, lostTooOften(claim));
      return this.#lookAtParent(claim);
    }
    const drive = (): Promise<void> => ('flowExecutionId' in claim ? this.#driveFlow(claim, free) : this.#drive(claim, free));
    await (standing === 'suspect' ? this.#suspects.drive(claim, drive) : drive());
  }

  async #driveFlow(claim: ClaimedFlow, free: () => void): Promise<void> {
    await this.#world.prices.refresh();
    await this.#run(this.#flows!.execution(claim), free);
  }

  async #run(execution: Execution, free: () => void): Promise<void> {
    this.#lives.set(execution);
    if (standingOf(execution.claim.losses) === 'suspect') execution.journal.onProgress = () => this.#suspects.hasProgressed(execution.claim);
    if (this.#isStopping) execution.stop('shutdown');
    const place = await this.#placeFor(execution, free);
    let isEnding = false;
    void execution.held.then((why) => {
      // Who only waits for its end to be written needs no place; but so many at most, or what is taken outruns what is written.
      isEnding = why === 'ending' && this.#ending < this.#settings.workerConcurrency;
      if (isEnding) this.#ending += 1;
      if (isEnding || why === 'held') free();
    });
    await execution.drive().finally(() => {
      place?.leave();
      if (isEnding) this.#ending -= 1;
    });
    if (execution.wakesAtMs !== null) this.#waker.at(execution.wakesAtMs - execution.clock.now());
  }

  /** Null: there is none, and the execution is given back or no longer ours. */
  async #placeFor(execution: Execution, free: () => void): Promise<Place | null> {
    const place = this.#places.ask(execution.claim);
    if (place instanceof Place) return place;
    if ('againInMs' in place) execution.postpone(place.againInMs);
    else {
      free();
      return place.wait(execution.signal);
    }
    return null;
  }

  async #drive(claim: ClaimedExecution, free: () => void): Promise<void> {
    const ready = await this.#plans.get(claim.versionId, claim.onlyNodeId);
    if (ready !== null && ready.plan !== null) {
      await this.#world.prices.refresh();
      await this.#run(new Execution(claim, { plan: underCaps(ready.plan, claim.caps), tenantSlug: ready.tenantSlug }, this.#world), free);
    } else {
      await this.#store.giveUp(claim, ready?.problem ?? { code: 'INVALID_WORKFLOW', message: 'The version of the workflow is gone.' });
    }
    this.#lookAtParent(claim);
  }

  /** What our own statements say is not listened to. */
  #lookAtParent(claim: Claim): void {
    if ('parentId' in claim && claim.parentId !== null) this.#look([claim.parentId]);
  }

  /** Are these still ours, and has something come for their nodes that wait? */
  #look(ids: string[]): void {
    const leases = ids.flatMap((id) => this.#lives.get(id)?.claim ?? []);
    if (leases.length === 0) return;
    this.#store.look(leases).then(({ lost, results }) => {
      this.#lives.stop(lost, 'lost');
      for (const { executionId, nodeId, result } of results) this.#lives.get(executionId)?.deliver(nodeId, result);
    }).catch((error: Error) => this.#log.warn({ error: error.message }, 'could not ask what was changed in executions; the next heartbeat will'));
  }

  async #searchOrphans(): Promise<void> {
    try {
      const found = await this.#store.requeueOrphans();
      if (found > 0) this.#log.warn({ found }, 'executions had no job; they have one now');
    } catch (error) {
      this.#log.warn({ error: (error as Error).message }, 'could not look for executions without a job');
    }
  }

  async #stopAll(): Promise<void> {
    const runner = Promise.all([this.#intake.close(), this.#runner?.stop()]);
    for (const execution of this.#lives.driven) execution.stop('shutdown');
    await runner;
    await this.#lives.settled();
    this.#waker.close();
    await Promise.all([this.#store.close(), this.#flowStore.close(), this.#permits.close(), this.#sourceStore.close()]);
    await this.#session.close();
    await Promise.all([this.#pool.end(), this.#jobPool.end(), this.#sources.close()]);
  }
}

function lostTooOften(claim: { losses: number }): { code: string; message: string } {
  return { code: 'WORKER_LOST', message: `${claim.losses} worker processes died while they ran this execution, without any progress.` };
}
