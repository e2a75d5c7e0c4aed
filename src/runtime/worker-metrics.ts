/** What a worker process counts of its work. */
import type { Metrics } from '../metrics.ts';

export interface WorkerMetrics {
  /** An execution of a workflow (`kind`) or a flow has ended. */
  ended(kind: 'workflow' | 'flow', status: string): void;
  /** A node has finished, or a task of a flow. */
  node(type: string, status: string, used: { tokens?: number; costUnits?: number }): void;
  /** So many were written as one statement. */
  batch(lane: string, size: number): void;
}

const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Null: nothing is counted. */
export function workerMetrics(metrics: Metrics | null, driven: () => number): WorkerMetrics {
  if (metrics === null) return { ended: () => undefined, node: () => undefined, batch: () => undefined };
  const executions = metrics.counter('agentflow_executions_ended_total', 'Executions that this process has ended, by kind and status.');
  const nodes = metrics.counter('agentflow_nodes_finished_total', 'Nodes that this process has finished, by type and outcome; tasks of flows are of type task.');
  const tokens = metrics.counter('agentflow_tokens_total', 'Tokens that nodes of this process have used, by type.');
  const batches = metrics.histogram('agentflow_batch_size', 'How many executions were taken, or claims, checkpoints or ends written, by one statement, by lane.', sizes);
  metrics.gauge('agentflow_executions_held', 'Executions that this process holds.', () => [{ labels: {}, value: driven() }]);
  return {
    ended: (kind, status) => executions.add({ kind, status }),
    node: (type, status, used) => {
      nodes.add({ type, status });
      if ((used.tokens ?? 0) > 0) tokens.add({ type }, used.tokens);
    },
    batch: (lane, size) => batches.observe({ lane }, size),
  };
}
