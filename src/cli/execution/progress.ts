/** Shows how an execution gets on: in place on a terminal, a line for each change elsewhere. */
import type { ExecutionView, NodeView } from '../../store/execution-rows.ts';
import { approvalHint, endLine, nodeLine } from './words.ts';

export interface Progress {
  show(view: ExecutionView): void;
  /** The last picture stays. */
  end(): void;
}

export const silentProgress: Progress = { show: () => undefined, end: () => undefined };

/** One line for each change of a node's status and for each of its log lines. */
export function plainProgress(write: (line: string) => void): Progress {
  const told = new Map<string, string>();
  const logged = new Map<string, number>();
  let status = '';
  return {
    show(view) {
      if (view.status !== status && !isOver(view)) write(`${view.status.padEnd(12)} execution ${view.id} of ${view.workflow} (version ${view.version})`);
      ({ status } = view);
      for (const node of view.nodes) {
        const key = `${node.status} ${node.attempts}`;
        if (told.get(node.nodeId) !== key) write(nodeLine(node));
        if (told.get(node.nodeId) !== key && awaitsDecision(node)) write(`${''.padEnd(12)} ${approvalHint(view.id, node)}`);
        told.set(node.nodeId, key);
        for (const { level, message } of node.logs.slice(logged.get(node.nodeId) ?? 0)) write(`${''.padEnd(12)} ${node.nodeId}: ${level}: ${message}`);
        logged.set(node.nodeId, node.logs.length);
      }
      if (isOver(view)) write(endLine(view));
    },
    end: () => undefined,
  };
}

const marks: Readonly<Record<NodeView['status'], [mark: string, colour: number]>> = {
  pending: ['·', 90], running: ['▶', 36], waiting: ['⏸', 33], rate_limited: ['⏸', 33], completed: ['✔', 32], failed: ['✘', 31],
  timed_out: ['✘', 31], cancelled: ['■', 35], skipped: ['-', 90],
};

interface Screen {
  write(text: string): void;
  /** 0 where the terminal does not say. */
  columns?: number;
}

const usualColumns = 80;

/** Redraws its lines in place, and the clocks of what runs. */
export function liveProgress(screen: Screen): Progress {
  let view: ExecutionView | null = null;
  let drawn = 0;
  const draw = (): void => {
    if (view === null) return;
    const columns = screen.columns === undefined || screen.columns === 0 ? usualColumns : screen.columns;
    const lines = picture(view).map((line) => fitted(line, columns));
    screen.write(`${drawn > 0 ? `\u001b[${drawn}F` : ''}\u001b[0J${lines.join('\n')}\n`);
    drawn = lines.length;
  };
  const clock = setInterval(draw, 500);
  clock.unref();
  return {
    show(next) {
      view = next;
      draw();
    },
    end() {
      clearInterval(clock);
      draw();
    },
  };
}

function picture(view: ExecutionView): string[] {
  return [
    `${view.workflow} (version ${view.version}), execution ${view.id}`,
    ...view.nodes.flatMap((node) => [nodePicture(node), ...node.logs.slice(-3).map(({ message }) => `      ${grey(message)}`), ...(awaitsDecision(node) ? [`      ${approvalHint(view.id, node)}`] : [])]),
    isOver(view) ? endLine(view) : `${view.status} ...`,
  ];
}

function nodePicture(node: NodeView): string {
  const [mark, colour] = marks[node.status];
  return `  \u001b[${colour}m${mark} ${nodeLine(node)}\u001b[0m`;
}

function grey(text: string): string {
  return `\u001b[90m${text}\u001b[0m`;
}

/** No line may wrap: what is redrawn is counted in lines. */
function fitted(line: string, columns: number): string {
  const [single = ''] = line.split('\n');
  const escapes = /\u001b\[\d+m/g;
  const shown = single.replace(escapes, '');
  return [...shown].length < columns ? single : `${[...shown].slice(0, Math.max(1, columns - 2)).join('')}…`;
}

export function awaitsDecision({ status, waitReason }: NodeView): boolean {
  return status === 'waiting' && waitReason === 'approval';
}

export function isOver({ status }: ExecutionView): boolean {
  return ['completed', 'failed', 'cancelled'].includes(status);
}
