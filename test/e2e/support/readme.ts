/** README.md as a script: its code blocks in order, and what it says that they print. */

export interface Step {
  language: string;
  /** Where it begins in the file. */
  line: number;
  text: string;
  /** What a `text` block behind it shows. */
  shows: string | null;
}

const languages = ['sh', 'graphql', 'text', 'mermaid'];

/** Throws at a block that nobody would run or look at. */
export function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const block of markdown.matchAll(/^```(.*)\n([^]*?)^```$/gm)) {
    const [, language, text] = block as unknown as [string, string, string];
    const line = markdown.slice(0, block.index).split('\n').length;
    if (!languages.includes(language)) throw new Error(`README.md:${line}: a block in "${language}", which no test runs`);
    if (language !== 'text') {
      steps.push({ language, line, text, shows: null });
      continue;
    }
    const shown = steps.at(-1);
    if (shown?.language !== 'sh' || shown.shows !== null) throw new Error(`README.md:${line}: an output of no command`);
    shown.shows = text;
  }
  return steps.filter(({ language }) => language !== 'mermaid');
}

/** Matches what was printed against what is shown: `…` stands for anything in a line, alone in a line for any lines; ids, times, addresses and figures of time may differ. */
export function patternOf(shown: string): RegExp {
  const lines = shown.replace(/\n$/, '').split('\n').map((line) => (line === '…' ? '(?:.*\\n)*' : `${linePattern(line)}[ \\t]*\\n`));
  return new RegExp(`^${lines.join('')}`, 'm');
}

function linePattern(line: string): string {
  return line.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    .replaceAll('…', '.*')
    .replaceAll(/127\\\.0\\\.0\\\.1:\d+/g, '127\\.0\\.0\\.1:\\d+')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '[0-9a-f-]{36}')
    .replaceAll(/\b\d+\\\.\d{3}\b/g, '\\d+\\.\\d{3}');
}
