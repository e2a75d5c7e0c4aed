/** The long way through the server, by express and grafserv. It is made when it is first needed: plain requests do without it, and its code is a twentieth of a start. */
import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import type { AppParts } from './app.ts';
import type { IsTrustedProxy } from './client-address.ts';

export interface LongWay {
  listener: RequestListener;
  isTrustedProxy: IsTrustedProxy;
  /** Makes it, unless somebody has needed it before. */
  load(): Promise<void>;
}

/** Where there are proxies to be trusted it is made at once: express reads the list, and tells what is wrong with it. */
export async function openLongWay(parts: AppParts): Promise<LongWay> {
  let app: Promise<Express> | null = null;
  const made = (): Promise<Express> => app ??= import('./app.ts').then(({ createApp }) => createApp(parts));
  const { trustProxy } = parts.face;
  const trustsNobody = typeof trustProxy === 'number' ? trustProxy === 0 : trustProxy.length === 0;
  return {
    listener: (request, response) => void made().then((express) => express(request, response), (error: unknown) => {
      parts.log.error({ err: error }, 'The way for this request cannot be loaded');
      response.writeHead(500).end();
    }),
    isTrustedProxy: trustsNobody ? () => false : (await made()).get('trust proxy fn') as IsTrustedProxy,
    load: async () => {
      await made();
    },
  };
}
