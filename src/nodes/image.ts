/** image: one call of an image model. */
import { NodeError } from '../errors.ts';
import { inlineSourceProperties, promptOf, sourceOf, textParameter } from './shared.ts';
import type { ImageAnswer, JsonObject, NodeContext, NodeType } from '../engine/types.ts';

export const image: NodeType = {
  type: 'image',
  summary: 'Makes one picture.',
  parameters: {
    type: 'object',
    properties: {
      prompt: { type: 'string', description: 'What to show, a template; text_result, then user_input when left out.' },
      size: { type: 'string', description: 'As the model names it, like 1024x1024.' },
      quality: { type: 'string', description: 'As the model names it.' },
      style: { type: 'string', description: 'As the model names it.' },
      ...inlineSourceProperties,
    },
  },
  sourceKind: 'image',
  sourceRequired: true,
  hasEffect: () => true,
  defaultOutputKey: () => 'image_result',
  example: { source: 'painter', prompt: 'A watercolour of {user_input}', size: '1024x1024' },
  async run(context) {
    const prompt = promptOf(context, ['text_result', 'user_input']);
    const size = textParameter(context.parameters, 'size');
    const answer = await sourceOf(context).image({
      prompt: prompt.text, size, quality: textParameter(context.parameters, 'quality'), style: textParameter(context.parameters, 'style'),
    });
    const output: JsonObject = { type: 'image', ...(await place(answer, context)), prompt: prompt.text, model: answer.model, size: answer.size ?? size, ...(answer.mock === true ? { mock: true } : {}) };
    return { kind: 'done', input: { prompt: prompt.text, size }, output, costUnits: answer.costUnits, warnings: prompt.warnings };
  },
};

/** Where the picture is: a URL of the provider, or an artifact of ours. @throws NodeError */
async function place({ url, bytes, mediaType }: ImageAnswer, context: NodeContext): Promise<JsonObject> {
  if (url !== null) return { url };
  if (bytes === null) throw new NodeError('ANSWER_INVALID', 'the model gave neither a URL nor a picture');
  if (!context.saveArtifact) throw new NodeError('NOT_SUPPORTED', 'the model gave bytes, and this installation keeps no artifacts');
  return { artifact_id: await context.saveArtifact(bytes, mediaType ?? 'image/png') };
}
