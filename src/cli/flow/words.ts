/** Executions of flows in a few words. */
import type { FlowExecutionView, TaskView } from '../../store/flow-listing.ts';
import type { ProgressWords } from '../execution/progress.ts';
import { secondsWords } from '../execution/words.ts';

export const flowWords: ProgressWords<FlowExecutionView> = {
  title: ({ id, flow, version }) => `execution ${id} of flow ${flow} (version ${version})`,
  status: ({ status }) => status,
  isOver: ({ status }) => status !== 'PENDING' && status !== 'RUNNING',
  steps: ({ tasks }) => tasks.map((task) => ({ name: task.task, status: task.status, attempts: task.attempts, line: taskLine(task), logs: task.logs, hint: null })),
  end: flowEndLine,
};

function taskLine(task: TaskView, now: Date = new Date()): string {
  const seconds = task.seconds ?? Math.max(0, now.getTime() - task.startedAt.getTime()) / 1_000;
  const status = { completed: 'SUCCESS', failed: 'FAILURE' }[task.status as string] ?? 'RUNNING';
  return [
    status.padEnd(12), task.task, secondsWords(seconds),
    ...(task.attempts > 1 ? [`${task.attempts} tries`] : []),
    ...(task.errorMessage === null ? [] : [`${task.errorCode ?? ''}: ${task.errorMessage}`]),
  ].join(' ');
}

function flowEndLine({ status, seconds, tasksExecuted, errorMessage }: FlowExecutionView): string {
  const facts = [...(seconds === null ? [] : [secondsWords(seconds)]), `${tasksExecuted} ${tasksExecuted === 1 ? 'task' : 'tasks'}`].join(', ');
  return `${status} (${facts})${errorMessage === null ? '' : `: ${errorMessage}`}`;
}
