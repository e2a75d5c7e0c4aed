/** Shows how an execution gets on: in place on a terminal, a line for each change elsewhere. */
import type { NodeStatus } from '../../engine/types.ts';
import type { ExecutionView, NodeView } from '../../store/execution-rows.ts';
import { approvalHint, endLine, nodeLine } from './words.ts';

export interface Progress<View = ExecutionView> {
  show(view: View): void;
  /** The last picture stays. */
  end(): void;
}

/** How a view reads, whatever it is of. */
export interface ProgressWords<View> {
  title(view: View): string;
  status(view: View): string;
  isOver(view: View): boolean;
  steps(view: View): Step[];
  /** The line that ends it. */
  end(view: View): string;
}

export interface Step {
  name: string;
  status: NodeStatus;
  attempts: number;
  line: string;
  /** What can be done about it. */
  hint: string | null;
  logs: readonly { level: string; message: string }[];
}

export const silentProgress: Progress<unknown> = { show: () => undefined, end: () => undefined };

/** One line for each change of a step's status and for each of its log lines. */
export function plainProgress<View>(write: (line: string) => void, words: ProgressWords<View>): Progress<View> {
  const told = new Map<string, string>();
  const logged = new Map<string, number>();
  let status = '';
  return {
    show(view) {
      if (words.status(view) !== status && !words.isOver(view)) write(`${words.status(view).padEnd(12)} ${words.title(view)}`);
      status = words.status(view);
      for (const step of words.steps(view)) {
        const key = `${step.status} ${step.attempts}`;
        if (told.get(step.name) !== key) write(step.line);
        if (told.get(step.name) !== key && step.hint !== null) write(`${''.padEnd(12)} ${step.hint}`);
        told.set(step.name, key);
        for (const { level, message } of step.logs.slice(logged.get(step.name) ?? 0)) write(`${''.padEnd(12)} ${step.name}: ${level}: ${message}`);
        logged.set(step.name, step.logs.length);
      }
      if (words.isOver(view)) write(words.end(view));
    },
    end: () => undefined,
  };
}

const marks: Readonly<Record<NodeStatus, [mark: string, colour: number]>> = {
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
export function liveProgress<View>(screen: Screen, words: ProgressWords<View>): Progress<View> {
  let view: View | null = null;
  let drawn = 0;
  const draw = (): void => {
    if (view === null) return;
    const columns = screen.columns === undefined || screen.columns === 0 ? usualColumns : screen.columns;
    const lines = picture(view, words).map((line) => fitted(line, columns));
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

function picture<View>(view: View, words: ProgressWords<View>): string[] {
  return [
    words.title(view),
    ...words.steps(view).flatMap((step) => [coloured(step), ...step.logs.slice(-3).map(({ message }) => `      ${grey(message)}`), ...(step.hint === null ? [] : [`      ${step.hint}`])]),
    words.isOver(view) ? words.end(view) : `${words.status(view)} ...`,
  ];
}

function coloured({ status, line }: Step): string {
  const [mark, colour] = marks[status];
  return `  \u001b[${colour}m${mark} ${line}\u001b[0m`;
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

export const executionWords: ProgressWords<ExecutionView> = {
  title: (view) => `execution ${view.id} of ${view.workflow} (version ${view.version})`,
  status: ({ status }) => status,
  isOver,
  steps: (view) => view.nodes.map((node) => ({
    name: node.nodeId, status: node.status, attempts: node.attempts, line: nodeLine(node), logs: node.logs, hint: awaitsDecision(node) ? approvalHint(view.id, node) : null,
  })),
  end: endLine,
};

function awaitsDecision({ status, waitReason }: NodeView): boolean {
  return status === 'waiting' && waitReason === 'approval';
}

export function isOver({ status }: ExecutionView): boolean {
  return ['completed', 'failed', 'cancelled'].includes(status);
}
