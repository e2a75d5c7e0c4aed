/** Executions and nodes in a few words. */
import type { ExecutionRow, NodeView } from '../../store/execution-rows.ts';

export function nodeLine(node: NodeView, now: Date = new Date()): string {
  const seconds = node.seconds ?? (node.status === 'running' && node.startedAt !== null ? Math.max(0, now.getTime() - node.startedAt.getTime()) / 1_000 : null);
  return [
    node.status.padEnd(12), node.nodeId, `(${node.nodeType})`,
    ...(seconds === null ? [] : [secondsWords(seconds)]),
    ...(node.tokens > 0 ? [`${node.tokens} tokens`] : []),
    ...(node.cost > 0 ? [`$${node.cost.toFixed(6)}`] : []),
    ...(node.attempts > 1 ? [`${node.attempts} tries`] : []),
    ...(['waiting', 'rate_limited'].includes(node.status) ? [waitWords(node)] : []),
    ...(node.errorMessage === null ? [] : [`${node.errorCode}: ${node.errorMessage}`]),
  ].join(' ');
}

export function secondsWords(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 3 : 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

function waitWords({ waitReason, waitUntil, waitDetails }: NodeView): string {
  const until = waitUntil === null ? '' : ` until ${waitUntil.toISOString()}`;
  const message = typeof waitDetails?.['message'] === 'string' ? `: ${waitDetails['message']}` : '';
  return `for ${waitReason ?? 'something'}${until}${message}`;
}

/** The line that ends it. */
export function endLine({ status, seconds, tokens, cost, errorCode, errorMessage }: ExecutionRow): string {
  const facts = [...(seconds === null ? [] : [secondsWords(seconds)]), `${tokens} tokens`, `$${cost.toFixed(4)}`].join(', ');
  return `${status} (${facts})${errorMessage === null ? '' : `: ${errorCode === null ? '' : `${errorCode} `}${errorMessage}`}`;
}

/** How a waiting approval is decided from here. */
export function approvalHint(executionId: string, { nodeId }: NodeView): string {
  return `agentflow execution decide ${executionId} ${nodeId} approved|rejected`;
}
