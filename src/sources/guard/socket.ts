/** Plain TCP connections to the outside, under the rules of the guard: the name is resolved once, every address of it is checked. */
import dns from 'node:dns';
import { isIP, Socket } from 'node:net';
import { isPublicAddress } from './addresses.ts';
import { checkingLookup, refusedAddress } from './lookup.ts';

export interface SocketRules {
  /** `host:port`, lower case: may be reached although private. */
  allowHosts: readonly string[];
  lookup?: typeof dns.lookup;
}

/** A socket whose `connect(port, host)` goes to a checked address, or fails with NodeError SOURCE_NOT_ALLOWED. */
export class GuardedSocket extends Socket {
  readonly #rules: SocketRules;

  constructor(rules: SocketRules) {
    super();
    this.#rules = rules;
  }

  override connect(...given: unknown[]): this {
    const [port, host] = given as [number, string];
    const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
    if (isListed(this.#rules.allowHosts, bare, port)) return super.connect({ port, host: bare });
    if (isIP(bare) !== 0 && !isPublicAddress(bare)) return this.destroy(refusedAddress(`${host}:${port}`));
    return super.connect({ port, host: bare, lookup: checkingLookup(this.#rules.lookup ?? dns.lookup) });
  }
}

function isListed(allowHosts: readonly string[], host: string, port: number): boolean {
  return allowHosts.includes(`${host}:${port}`) || allowHosts.includes(`[${host}]:${port}`);
}
