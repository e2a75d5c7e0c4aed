/** The reference of node types as Markdown, made from what they say about themselves. */
import { commonProperties } from '../../engine/document-schemas.ts';
import { isObject } from '../../engine/json.ts';
import { nodeTypes } from '../index.ts';
import type { Json, JsonObject, NodeType } from '../../engine/types.ts';

export function nodeTypeReference(): string {
  return [
    '# Node types',
    '',
    'Made from the node types themselves by `node test/tools/write-docs.ts`; a test compares. What a workflow means stands in [workflows.md](workflows.md).',
    '',
    '| type | does | default output_key | source |',
    '|---|---|---|---|',
    ...nodeTypes.map((type) => `| [\`${type.type}\`](#${type.type}) | ${type.summary} | ${defaultKey(type)} | ${sourceWords(type)} |`),
    '',
    'Every node may also say:',
    '',
    ...parameterTable(commonProperties, []),
    '',
    ...nodeTypes.flatMap(section),
  ].join('\n').trimEnd().concat('\n');
}

function defaultKey(type: NodeType): string {
  const key = type.defaultOutputKey({});
  if (key === null) return '-';
  return type.defaultOutputKey({ input_key: 'x' }) === 'x' ? '= `input_key`' : `\`${key}\``;
}

function sourceWords({ sourceKind, sourceRequired }: NodeType): string {
  if (sourceKind === null) return '-';
  return sourceRequired ? `\`${sourceKind}\`` : `\`${sourceKind}\`, optional`;
}

function section({ type, summary, parameters, example }: NodeType): string[] {
  const required = Array.isArray(parameters.required) ? parameters.required : [];
  return [`## ${type}`, '', summary, '', ...parameterTable(isObject(parameters.properties) ? parameters.properties : {}, required), '', '```json', JSON.stringify({ id: `my_${type}`, type, metadata: example }, null, 2), '```', ''];
}

function parameterTable(properties: JsonObject, required: readonly Json[]): string[] {
  const rows = Object.entries(properties).map(([name, schema]) => {
    const words = isObject(schema) ? schema : {};
    return `| \`${name}\`${required.includes(name) ? ' (required)' : ''} | ${cell(formWords(words))} | ${cell(String(words.description ?? ''))} |`;
  });
  return rows.length === 0 ? ['No parameters of its own.'] : ['| key | form | means |', '|---|---|---|', ...rows];
}

function formWords(schema: JsonObject): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((part) => formWords(isObject(part) ? part : {})).join(' or ');
  if (schema.type === 'array') return `list of ${isObject(schema.items) ? formWords(schema.items) : 'values'}`;
  return rangeWords(schema);
}

const typeWords: Readonly<Record<string, string>> = { string: 'text', integer: 'whole number', number: 'number', boolean: 'true or false', object: 'object' };

function rangeWords({ type, minimum, maximum, exclusiveMinimum, properties }: JsonObject): string {
  const bounds = [
    ...(minimum === undefined ? [] : [`at least ${String(minimum)}`]), ...(exclusiveMinimum === undefined ? [] : [`more than ${String(exclusiveMinimum)}`]),
    ...(maximum === undefined ? [] : [`at most ${String(maximum)}`]), ...(isObject(properties) ? [`of ${Object.keys(properties).map((key) => `\`${key}\``).join(', ')}`] : []),
  ];
  return [typeWords[String(type)] ?? 'any value', ...bounds].join(', ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
