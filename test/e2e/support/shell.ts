/** One shell, as in one terminal: what one block sets, the next one has. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

export interface Shell {
  /** Runs the text and returns what it printed, errors included; throws when a command in it failed. */
  run(text: string): Promise<string>;
  /** The value of a variable. */
  value(name: string): Promise<string>;
  close(): void;
}

export function openShell(cwd: string, env: NodeJS.ProcessEnv, scripts: string): Shell {
  const child = spawn('sh', [], { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let printed = '';
  let notice = (): void => undefined;
  const take = (chunk: Buffer): void => {
    printed += chunk.toString('utf8');
    notice();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  child.on('close', () => take(Buffer.from('\n[the shell ended]\n')));
  let count = 0;

  async function run(text: string): Promise<string> {
    count += 1;
    const script = path.join(scripts, `block-${count}.sh`);
    writeFileSync(script, text);
    printed = '';
    // From a file, so that no command reads the rest of the script as its input. Standard error joins standard output, as on a terminal.
    child.stdin.write(`set -e; . '${script}' </dev/null 2>&1; printf '[block ${count} is done]\\n'\n`);
    await new Promise<void>((resolve) => {
      notice = () => (printed.includes(`[block ${count} is done]`) || printed.includes('[the shell ended]')) && resolve();
      notice();
    });
    if (printed.includes('[the shell ended]')) throw new Error(`A command failed:\n${text}\n${printed}`);
    return printed.slice(0, printed.indexOf(`[block ${count} is done]`));
  }

  return {
    run,
    value: async (name) => run(`printf %s "$${name}"`),
    close: () => void child.kill(),
  };
}
