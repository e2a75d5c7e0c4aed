/** A local OpenAI-compatible server that answers as a test tells it, and keeps what it was asked. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ModelRequest {
  model: string;
  /** Asks for a picture: a reply that is a URL is given as one, any other as base64. */
  isImage: boolean;
  /** Text of the last user message, or what the picture shall show. */
  prompt: string;
  system: string | null;
  headers: http.IncomingHttpHeaders;
  body: Record<string, unknown>;
}

/** A text is the answer; `status` is an HTTP failure with `text` as its body; `delayMs` comes before either. */
export type ModelReply = string | { status?: number; text?: string; delayMs?: number; headers?: Record<string, string>; usage?: null };

export interface ModelServer {
  /** With `/v1`, as AGENTFLOW_LLM_GATEWAY_URL wants it. */
  url: string;
  requests: ModelRequest[];
  /** Requests that were closed by the caller before their answer. */
  aborted(): number;
  close(): Promise<void>;
}

export async function startModelServer(reply: (request: ModelRequest) => ModelReply | Promise<ModelReply>): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  let aborted = 0;
  const server = http.createServer((incoming, outgoing) => {
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) aborted += 1;
    });
    void respond(incoming, outgoing, requests, reply);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    aborted: () => aborted,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function respond(incoming: http.IncomingMessage, outgoing: http.ServerResponse, requests: ModelRequest[], reply: (request: ModelRequest) => ModelReply | Promise<ModelReply>): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const request = requestOf(JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>, incoming);
  requests.push(request);
  const answer = await reply(request);
  const { status = 200, text = '', delayMs = 0, headers = {}, usage } = typeof answer === 'string' ? { text: answer } : answer;
  if (delayMs > 0) await delayOrClose(outgoing, delayMs);
  if (outgoing.destroyed) return;
  outgoing.writeHead(status, { 'content-type': 'application/json', ...headers });
  outgoing.end(status === 200 ? JSON.stringify(completion(request, text, usage)) : JSON.stringify({ error: { message: text } }));
}

function delayOrClose(outgoing: http.ServerResponse, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    outgoing.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function requestOf(body: Record<string, unknown>, { url = '', headers }: http.IncomingMessage): ModelRequest {
  const isImage = url.endsWith('/images/generations');
  if (isImage) return { model: body['model'] as string, isImage, prompt: body['prompt'] as string, system: null, headers, body };
  const messages = body['messages'] as { role: string; content: string | { type: string; text: string }[] }[];
  const textOf = (role: string): string | null => {
    const content = messages.findLast((message) => message.role === role)?.content ?? null;
    return Array.isArray(content) ? content.map(({ text }) => text).join('') : content;
  };
  return { model: body['model'] as string, isImage, prompt: textOf('user') ?? '', system: textOf('system'), headers, body };
}

function completion({ model, prompt, isImage }: ModelRequest, text: string, usage: null | undefined): object {
  if (isImage) return { created: 0, data: [/^https?:/.test(text) ? { url: text } : { b64_json: text }] };
  return {
    id: 'answer', object: 'chat.completion', created: 0, model,
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    ...(usage === null ? {} : { usage: { prompt_tokens: prompt.length, completion_tokens: text.length, total_tokens: prompt.length + text.length } }),
  };
}
