/**
 * Drives one execution under its lease: asks `step` what comes next, runs those nodes, and writes what happened.
 * Nodes without effect cost no round trip: they are deterministic, and are written with the next checkpoint. What a node with an effect did is
 * durable before anything with an effect that depends on it starts.
 */
import { initialRun, outcomeOf, restoreRun, step, type NodeEnd } from '../engine/index.ts';
import type { Json, Plan, RunCommand, RunEvent, RunState } from '../engine/types.ts';
import { AgentFlowError } from '../errors.ts';
import type { ClaimedExecution, StoredNode } from '../store/rows.ts';
import { alarmIn } from './alarms.ts';
import { clockFrom, type DatabaseClock } from './clock.ts';
import { endingOf } from './ending.ts';
import { GrowingTexts } from './growing-texts.ts';
import { Journal } from './journal.ts';
import { skippedRow } from './node-record.ts';
import { runEffectNode, runPureNode, type RunEnd } from './node-run.ts';
import { endsWithATry, leftOverWait, startedNode, type NodeSetting, type RunNodeCommand, type StartedNode } from './node-task.ts';
import { SlotHold } from './slot-hold.ts';
import { storedOutcomes, storedSeconds, unfinished } from './stored-nodes.ts';
import { takenOver } from './taken-over.ts';
import { WaitingSeat } from './waiting-room.ts';
import { Waits } from './waits.ts';
import type { ExecutionWorld } from './world.ts';

/** Why a driver lets go of an execution before its end. */
export type StopReason = 'lost' | 'shutdown';

type Work = { event: RunEvent } | { started: StartedNode; end: NodeEnd };

/** A node that takes longer gets a row that says so. */
const showRunningAfterMs = 500;
/** An execution that takes longer is marked as running; until then it is mostly over before anybody looks, and the mark is spared. */
const showBegunAfterMs = 1_000;

export class Execution implements NodeSetting {
  readonly claim: ClaimedExecution;
  readonly plan: Plan;
  readonly tenantSlug: string;
  readonly world: ExecutionWorld;
  readonly clock: DatabaseClock;
  /** When it goes on after it was given back, by the database's clock; null when an event wakes it, or it is over. */
  wakesAtMs: number | null = null;
  readonly #abort = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  readonly #held = Promise.withResolvers<'held' | 'ending'>();
  /** Where it waits for its turn, and goes on afterwards, when no job drives it. */
  readonly #seat: WaitingSeat;
  readonly journal: Journal;
  /** Nodes that an earlier claim left unfinished; null when there are none. */
  readonly #leftOver: Map<string, StoredNode> | null;
  readonly #seconds: Map<string, number>;
  #slotHold: SlotHold | null = null;
  #growingTexts: GrowingTexts | null = null;
  readonly #running = new Map<string, StartedNode>();
  readonly #waits: Waits;
  #state: RunState;
  /** Those of the run that stand in the log of a node by now. */
  #warningsTold = 0;
  #startsPending = 0;
  #isOver = false;
  #timeLimit: NodeJS.Timeout | null = null;
  #beginning: NodeJS.Timeout | null = null;
  readonly #showBegunAfterMs: number;

  constructor(claim: ClaimedExecution, ready: { plan: Plan; tenantSlug: string; showBegunAfterMs?: number }, world: ExecutionWorld) {
    this.claim = claim;
    this.plan = ready.plan;
    this.tenantSlug = ready.tenantSlug;
    this.world = world;
    this.#showBegunAfterMs = ready.showBegunAfterMs ?? showBegunAfterMs;
    this.clock = clockFrom(claim.nowMs);
    this.journal = new Journal(claim, world, () => this.stop('lost'));
    this.#seat = new WaitingSeat(world.room, this.plan.document.limits.maxSeconds);
    this.#leftOver = claim.nodes === null ? null : unfinished(claim.nodes);
    this.#seconds = storedSeconds(claim.nodes ?? []);
    this.#waits = new Waits(this.clock, (started, reason) => this.#guarded(() => this.#resume(started, endsWithATry(reason) ? undefined : null)));
    this.#state = initialRun(this.plan, claim.initialState);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  onSlotWait(waits: boolean): void {
    this.#slotHold ??= new SlotHold({
      seat: this.#seat, held: () => this.#held.resolve('held'), giveBack: (ms) => this.postpone(ms),
      onlyWaits: (count) => !this.#isOver && count >= this.#running.size && this.#startsPending === 0,
    });
    this.#slotHold.tell(waits);
  }

  onText(nodeId: string): void {
    this.#growingTexts ??= new GrowingTexts((grown) => this.#running.has(grown) && this.#show(this.#running.get(grown)!));
    this.#growingTexts.tell(nodeId);
  }

  /** Resolves when it no longer needs its place: it waits in memory and goes on by itself, or only its end is left to be written. */
  get held(): Promise<'held' | 'ending'> {
    return this.#held.promise;
  }

  /** Resolves when the execution has ended, waits, or was let go. Rejects when even its failure cannot be written. */
  drive(): Promise<void> {
    if (!this.#isOver) this.#guarded(() => {
      if (this.claim.nodes === null && this.claim.repeats === null) this.#advance([{ event: { type: 'start' } }], []);
      else this.#restore();
      // Nothing of what has run so far could have been interrupted.
      if (!this.#isOver) this.#limitTime();
      if (!this.#isOver && !this.journal.isBegun) this.#beginning = setTimeout(() => this.#begin(), this.#showBegunAfterMs);
    });
    return this.#over.promise;
  }

  /** What a node of it waits for has come. */
  deliver(nodeId: string, result: Json): void {
    const started = this.#isOver ? null : this.#waits.take(nodeId);
    if (started !== null) this.#guarded(() => this.#resume(started, result));
  }

  #restore(): void {
    const taken = takenOver(this.claim, this.plan);
    const restored = restoreRun(this.plan, this.claim.initialState, [...taken.outcomes, ...storedOutcomes(this.claim.nodes ?? [])]);
    this.#state = restored.state;
    this.#warningsTold = restored.state.nextFinishOrder > 1 ? restored.state.warnings.length : 0;
    this.journal.add(...taken.rows(restored.state, this.clock));
    this.#advance([], restored.commands);
  }

  /** Lets go: nodes get an abort signal. `shutdown` gives the lease back with what is finished; `lost` writes nothing more. */
  stop(reason: StopReason): void {
    if (this.#isOver) return;
    if (reason === 'shutdown') this.#release(this.clock.now());
    else this.#end(Promise.resolve(true));
    this.#abort.abort(new AgentFlowError('UNAVAILABLE', reason === 'lost' ? 'The execution was cancelled or taken over.' : 'The worker stops.'));
  }

  /** Steps through events, running nodes without effect on the way, until only the outside can go on. */
  #advance(work: Work[], commands: RunCommand[]): void {
    const starts: StartedNode[] = [];
    const obey = (command: RunCommand): void => {
      if (command.type === 'skip') this.journal.add(skippedRow(this.plan.nodes.get(command.outcome.nodeId)!, command.outcome, this.clock));
      else if (command.type === 'abort') this.#cut(work);
      else if (command.type === 'run') this.#prepare(command, work, starts);
      else this.#finish(command);
    };
    commands.forEach(obey);
    for (let next = work.shift(); next !== undefined && !this.#isOver; next = work.shift()) {
      const stepped = 'event' in next ? step(this.plan, this.#state, next.event).commands : this.#stepFinished(next.started, next.end);
      stepped.forEach(obey);
      // Whoever only waits is not let finish once the execution fails: nobody knows when that would be.
      if (this.#state.failure !== null) this.#cutWaits(work);
    }
    if (!this.#isOver) this.#startSaved(starts);
  }

  #prepare(command: RunNodeCommand, work: Work[], starts: StartedNode[]): void {
    const stored = this.#leftOver?.get(command.nodeId) ?? null;
    this.#leftOver?.delete(command.nodeId);
    const started = startedNode(this, command, this.#state.nodes.get(command.nodeId)?.arrivals ?? null, stored);
    const left = leftOverWait(stored, this.clock);
    if (left !== null && 'wait' in left) return this.#waits.add(started, left.wait);
    if (left !== null) {
      started.record.waitEnds();
      started.task.resumedWith = left.result;
    }
    if (started.task.node.hasEffect || started.task.gate !== null) {
      starts.push(started);
      return;
    }
    const end = runPureNode(started.task);
    if (end instanceof Promise || 'kind' in end) this.#track(started, Promise.resolve(end));
    else work.push({ started, end });
  }

  /** Gives it back; what runs is broken off, and begins anew when it goes on. */
  postpone(ms: number): void {
    if (this.#isOver) return;
    this.#release(this.clock.now() + ms);
    this.#abort.abort(new AgentFlowError('UNAVAILABLE', 'The execution waits for its turn.'));
  }

  #stepFinished({ record }: StartedNode, end: NodeEnd): RunCommand[] {
    const { node } = record;
    const { outcome, warnings } = outcomeOf(this.plan, this.#state, node.id, end);
    const { commands } = step(this.plan, this.#state, { type: 'node_finished', outcome });
    const said = [...(end.status === 'completed' ? end.result.warnings ?? [] : []), ...warnings, ...this.#state.warnings.slice(this.#warningsTold).map(({ code, message }) => `${code}: ${message}`)];
    this.#warningsTold = this.#state.warnings.length;
    for (const warning of said) record.log.add('warn', warning);
    this.#seconds.set(node.id, record.seconds());
    this.journal.add(record.finished(outcome, end.status === 'completed' ? end.result.input : undefined));
    this.journal.mustSave ||= node.hasEffect;
    return commands;
  }

  #startSaved(starts: StartedNode[]): void {
    const start = (): void => {
      for (const started of starts) this.#track(started, runEffectNode(started.task));
      this.#suspendIfIdle();
    };
    if (!this.journal.mustSave) return start();
    this.#startsPending += 1;
    this.journal.save().then(() => {
      this.#startsPending -= 1;
      if (!this.#isOver) this.#guarded(start);
    }, (error: unknown) => this.#fail(error));
  }

  #track(started: StartedNode, end: Promise<RunEnd>): void {
    const { node } = started.record;
    this.#running.set(node.id, started);
    const showing = alarmIn(showRunningAfterMs, () => this.#show(started));
    end.then((result) => {
      showing.off();
      this.#running.delete(node.id);
      if (this.#isOver) return;
      if ('kind' in result) this.#wait(started, result);
      else this.#advance([{ started, end: result }], []);
    }).catch((error: unknown) => this.#fail(error));
  }

  #show({ record }: StartedNode): void {
    if (this.#isOver) return;
    this.journal.add(record.running());
    this.journal.save(true).catch((error: unknown) => this.#fail(error));
  }

  #wait(started: StartedNode, result: Extract<RunEnd, { kind: 'wait' }>): void {
    const wait = this.#waits.begin(started, result);
    this.journal.add(started.record.waiting(wait, started.task.used));
    this.#suspendIfIdle();
    if (!this.#isOver) this.journal.save(true).catch((error: unknown) => this.#fail(error));
  }

  /** `result`: null when the time of the wait is up, undefined when the node is tried (again). */
  #resume(started: StartedNode, result: Json | undefined): void {
    if (this.#isOver) return;
    if (!this.#seat.goOn()) return this.#release(this.clock.now());
    started.task.resumedWith = result;
    started.task.earlierAttempts = started.record.attempts;
    this.#track(started, started.task.node.hasEffect || started.task.gate !== null ? runEffectNode(started.task) : Promise.resolve(runPureNode(started.task)));
  }

  /** Nothing runs and something waits for long: the worker is free for others. */
  #suspendIfIdle(): void {
    if (this.#isOver || this.#running.size > 0 || this.#startsPending > 0 || !this.#waits.areLong()) return;
    const first = this.#waits.firstMs();
    // For a turn that comes soon nothing is given back: the claim that would follow could be late for it.
    if (this.#waits.isForATurn() && this.#seat.take(first! - this.clock.now())) this.#held.resolve('held');
    else this.#release(first);
  }

  /** The time is up: what runs is aborted, what waits ends. Their ends come as those of any node. */
  #cut(work: Work[]): void {
    const { code, message } = this.#state.failure ?? { code: 'NODE_FAILED', message: 'The execution was cancelled.' };
    this.#cutWaits(work);
    this.#abort.abort(new AgentFlowError(code as 'LIMIT_TIME', message));
  }

  #cutWaits(work: Work[]): void {
    const error = { code: this.#state.failure?.code ?? 'NODE_FAILED', message: 'The execution ended while the node waited.' };
    for (const started of this.#waits.clear()) work.push({ started, end: { status: 'cancelled', error, ...started.task.used } });
  }

  #limitTime(): void {
    const { maxSeconds } = this.plan.document.limits;
    const leftMs = Math.max(0, (maxSeconds - this.claim.drivenSeconds) * 1_000);
    this.#timeLimit = setTimeout(() => this.#guarded(() => {
      this.#advance([{ event: { type: 'limit_hit', code: 'LIMIT_TIME', message: `the execution took longer than ${maxSeconds} s` } }], []);
    }), Math.min(leftMs, 2 ** 31 - 1));
  }

  #begin(): void {
    if (!this.#isOver && !this.journal.isBegun) this.journal.save(true).catch((error: unknown) => this.#fail(error));
  }

  #finish(command: Extract<RunCommand, { type: 'finish' }>): void {
    this.#held.resolve('ending');
    this.#end(this.journal.finish(endingOf(this.#state, command, Object.fromEntries(this.#seconds))));
  }

  /** `atMs`: when to go on, by the database's clock; null: when an event wakes it. */
  #release(atMs: number | null): void {
    this.wakesAtMs = atMs;
    this.#end(this.journal.release(atMs === null ? null : new Date(atMs).toISOString()));
  }

  /** Nothing is driven from here on; the promise is the last thing that is written. */
  #end(written: Promise<boolean>): void {
    this.#isOver = true;
    this.#seat.leave();
    this.#waits.clear();
    if (this.#timeLimit !== null) clearTimeout(this.#timeLimit);
    if (this.#beginning !== null) clearTimeout(this.#beginning);
    written.then(() => this.#over.resolve(), (error: unknown) => this.#lastResort(error));
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A fault of ours, or a value that the database refuses: the execution fails cleanly instead of being tried for ever. */
  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#end(Promise.reject(error));
    this.#abort.abort(new AgentFlowError('INTERNAL'));
  }

  #lastResort(error: unknown): void {
    const { executionId } = this.claim;
    this.world.log.error({ err: error, executionId }, 'an execution could not go on');
    const failure = { code: 'INTERNAL', message: 'Something went wrong inside AgentFlow; the server log says what.', nodeId: null };
    const ending = endingOf({ ...this.#state, data: this.claim.initialState }, { status: 'failed', error: failure }, {});
    this.world.store.finish(this.claim, [], ending).then(() => this.#over.resolve(), (last: unknown) => this.#over.reject(last));
  }
}
