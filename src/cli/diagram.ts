/** Writes a picture: mermaid as text, or an SVG that is drawn here. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { diagramOf, dotOf, type NodePictures, type Plan } from '../engine/index.ts';
import { drawSvg } from '../schema/snapshot/erd.ts';
import type { Context } from './context.ts';

export interface DiagramOptions {
  svg?: boolean;
  output?: string;
}

export function diagramOptions(command: Command): Command {
  return command
    .option('--svg', 'draw it, instead of mermaid text')
    .option('--output <file>', 'write it there instead of to standard output');
}

export async function tellDiagram(context: Context, { svg, output }: DiagramOptions, plan: Plan, pictures: NodePictures = {}): Promise<void> {
  const kind = svg ? 'svg' : 'mermaid';
  const text = svg ? (await drawSvg(dotOf(plan, pictures))).trimEnd() : diagramOf(plan, pictures);
  if (output !== undefined) writeFileSync(output, `${text}\n`);
  context.answer(output === undefined ? { [kind]: text } : { file: output }, output === undefined ? text : `Written: ${output}`);
}
