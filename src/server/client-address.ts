/** Where a request comes from, and whether by TLS, as express finds it (`request.ip`, `request.secure`): proxies are believed when they are ours. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

/** Is this address a proxy of ours, being the how-manieth on the way? */
export type IsTrustedProxy = (address: string, hop: number) => boolean;

/** The first address, seen from here, that is no proxy of ours. */
export function clientAddress({ socket, headers }: IncomingMessage, isTrustedProxy: IsTrustedProxy): string | null {
  const nearest = socket.remoteAddress ?? '';
  const forwarded = headers['x-forwarded-for'];
  if (forwarded === undefined) return nearest === '' ? null : nearest;
  const hops = [nearest, ...String(forwarded).split(',').map((address) => address.trim()).filter((address) => address !== '').reverse()];
  const address = hops.find((hop, index) => !isTrustedProxy(hop, index)) ?? hops.at(-1)!;
  return address === '' ? null : address;
}

export function isOverTls({ socket, headers }: IncomingMessage, isTrustedProxy: IsTrustedProxy): boolean {
  if ((socket as TLSSocket).encrypted) return true;
  const told = headers['x-forwarded-proto'];
  return told !== undefined && isTrustedProxy(socket.remoteAddress ?? '', 0) && String(told).split(',')[0]!.trim() === 'https';
}
