/**
 * Figures of the pure engine and of the two checkers: validation of 100 and 200 nodes in TypeScript and in SQL, making a plan, and steps per
 * second in memory. Prints JSON. `npm run bench:engine`.
 */
import './support/only-own-databases.ts';
import pg from 'pg';
import { initialRun, outcomeOf, planOf, step, validateSpec, type Plan, type RunCommand } from '../src/engine/index.ts';
import { nodeTypes } from '../src/nodes/index.ts';
import { startTestCluster, templates } from '../test/support/cluster.ts';
import { layeredSpec } from './support/layered-spec.ts';
import { measured, type Figures } from './support/figures.ts';

const seconds = 3;
const sizes = [100, 200];

async function inTypeScript(): Promise<Record<string, Figures>> {
  const figures: Record<string, Figures> = {};
  for (const size of sizes) {
    const spec = layeredSpec(size);
    const { errors, warnings } = validateSpec(spec, { nodeTypes });
    if (errors.length + warnings.length > 0) throw new Error(`not what is to be measured: ${JSON.stringify([...errors, ...warnings])}`);
    figures[`validation of ${size} nodes, ms`] = await measured(seconds, () => validateSpec(spec, { nodeTypes }));
    figures[`plan of ${size} nodes, ms`] = await measured(seconds, () => planOf(spec, { nodeTypes }));
  }
  return figures;
}

async function inSql(): Promise<Record<string, Figures>> {
  const cluster = await startTestCluster();
  try {
    const { info, embedded } = cluster;
    if (info.schemaProblem !== null) throw new Error(info.schemaProblem);
    const root = new pg.Client({ connectionString: embedded.url('postgres', 'postgres') });
    await root.connect();
    await root.query(`create database bench template ${templates.schema} owner agentflow_owner`);
    await root.end();
    const client = new pg.Client({ connectionString: embedded.url('agentflow_owner', 'bench') });
    await client.connect();
    const figures: Record<string, Figures> = {};
    for (const size of sizes) {
      const spec = JSON.stringify(layeredSpec(size));
      figures[`validation of ${size} nodes, ms`] = await measured(seconds, () => client.query('select app_private.workflow_problems($1, $2)', [spec, '123e4567-e89b-12d3-a456-426614174000']));
    }
    await client.end();
    return figures;
  } finally {
    await cluster.stop();
  }
}

/** Every node finishes at once with a short text. Returns how many events that took. */
function runInMemory(plan: Plan): number {
  const state = initialRun(plan, { user_input: 'hello, everybody' });
  const open: string[] = [];
  const obey = (commands: RunCommand[]): void => commands.forEach((command) => {
    if (command.type === 'run') open.push(command.nodeId);
  });
  obey(step(plan, state, { type: 'start' }).commands);
  let events = 1;
  for (let nodeId = open.shift(); nodeId !== undefined; nodeId = open.shift(), events += 1) {
    const { outcome } = outcomeOf(plan, state, nodeId, { status: 'completed', result: { kind: 'done', output: 'an answer of some words' } });
    obey(step(plan, state, { type: 'node_finished', outcome }).commands);
  }
  if (state.status !== 'completed') throw new Error(`the run ended as ${state.status}`);
  return events;
}

async function steps(): Promise<Record<string, number>> {
  const result: Record<string, number> = {};
  for (const size of sizes) {
    const plan = planOf(layeredSpec(size), { nodeTypes });
    const events = runInMemory(plan);
    const { median } = await measured(seconds, () => runInMemory(plan));
    result[`steps per second, ${size} nodes`] = Math.round(events / (median / 1_000));
  }
  return result;
}

process.stdout.write(`${JSON.stringify({ node: process.versions.node, typescript: await inTypeScript(), sql: await inSql(), memory: await steps() }, null, 2)}\n`);
