/** `npm run check`: every gate that needs no database. All problems of all gates are told, then the exit code is 1. */
import path from 'node:path';
import type { Gate } from './gates/gate.ts';
import { lengthsGate } from './gates/lengths.ts';
import { machinePathsGate } from './gates/machine-paths.ts';
import { manifestGate } from './gates/manifest.ts';
import { roomsGate } from './gates/rooms.ts';
import { checkTypes, lint, type ToolResult } from './gates/tools.ts';

const projectFolder = path.resolve(import.meta.dirname, '../..');

const gates: Record<string, () => ToolResult> = {
  types: () => checkTypes(projectFolder),
  lint: () => lint(projectFolder),
  rooms: () => asResult(roomsGate),
  manifest: () => asResult(manifestGate),
  lengths: () => asResult(lengthsGate),
  paths: () => asResult(machinePathsGate),
};

let failed = 0;
for (const [name, look] of Object.entries(gates)) {
  const { passed, output } = look();
  process.stdout.write(`${passed ? 'ok    ' : 'FAILED'} ${name}\n`);
  if (passed) continue;
  failed += 1;
  process.stdout.write(`${output.replace(/^/gm, '       ')}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;

function asResult(gate: Gate): ToolResult {
  const problems = gate(projectFolder);
  return { passed: problems.length === 0, output: problems.map(({ file, line, message }) => `${file}${line === null ? '' : `:${line}`} ${message}`).join('\n') };
}
