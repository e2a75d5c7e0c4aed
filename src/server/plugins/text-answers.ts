/** Answers are made as text at once, which costs less than objects that are made into text. Only one that has errors is looked into. */
import 'postgraphile/grafserv';

export const TextAnswersPlugin: GraphileConfig.Plugin = {
  name: 'TextAnswersPlugin',
  version: '1.0.0',
  grafserv: {
    middleware: {
      async processRequest(next) {
        return objectWhenFaulty(await next());
      },
    },
  },
};

interface Answer {
  type: string;
  headers?: Record<string, string>;
  buffer?: Buffer;
}

/** Errors stand at the head of the text, or behind data that was nothing but null. Some data looks like errors: it is looked into for nothing. */
const faultless = Buffer.from('{"data":{');
const faults = Buffer.from('"errors":[{');

function objectWhenFaulty<R extends object | null>(result: R): R {
  const { type, headers, buffer } = (result ?? {}) as Answer;
  if (type !== 'buffer' || !headers?.['content-type']?.includes('json') || buffer === undefined) return result;
  if (buffer.subarray(0, faultless.length).equals(faultless) && !buffer.includes(faults)) return result;
  const { 'content-length': _length, ...others } = headers;
  return { ...result, type: 'json', headers: others, json: JSON.parse(buffer.toString()) };
}
