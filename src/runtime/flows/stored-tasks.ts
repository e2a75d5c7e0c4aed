/** Stored task rows as what the driver goes on from. */
import type { NodeStatus } from '../../engine/types.ts';
import type { StoredTask } from '../../store/flow-rows.ts';
import type { StoredNode } from '../../store/rows.ts';

export function storedNodes(tasks: readonly StoredTask[]): StoredNode[] {
  return tasks.map((task) => ({
    node_id: task.task_name, status: statusOf(task), sequence_number: task.sequence_number,
    // Tasks run one after the other: they finish in the order in which they started.
    finish_order: isOver(task) ? task.sequence_number : null,
    attempts: task.attempts, output: task.output_data, writes: {}, route_target: null, error_code: task.error_code, error_message: task.error_message,
    tokens_used: 0, cost: '0', wait_reason: task.wait_reason, wait_until: task.wait_until,
    // Whether the execution is over that a task waits for, the task finds out by itself when it is run again.
    wait_details: task.wait_reason === 'child' ? { ...task.wait_details, result: null } : task.wait_details,
    logs: task.logs, started_ms: task.started_ms, completed_ms: null,
  }));
}

function isOver({ status }: StoredTask): boolean {
  return status === 'SUCCESS' || status === 'FAILURE';
}

function statusOf({ status, wait_reason: reason }: StoredTask): NodeStatus {
  if (status === 'SUCCESS') return 'completed';
  if (status === 'FAILURE') return 'failed';
  return reason === null ? 'running' : 'waiting';
}
