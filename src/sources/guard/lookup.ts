/** Names become addresses once, and the connection goes to what was checked. */
import type dns from 'node:dns';
import type { LookupFunction } from 'node:net';
import { NodeError } from '../../errors.ts';
import { isPublicAddress } from './addresses.ts';

/** Refuses the whole name when any of its addresses is closed: an attacker's name server could mix them. */
export function checkingLookup(lookup: typeof dns.lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      if (addresses.length === 0 || !addresses.every(({ address }) => isPublicAddress(address))) return callback(refusedAddress(hostname), '', 0);
      if (options.all) return callback(null, addresses);
      return callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}

export function refusedAddress(host: string): NodeError {
  return new NodeError('SOURCE_NOT_ALLOWED', `${host} is not a public address; the operator may list it as host:port in AGENTFLOW_ALLOW_HOSTS.`);
}
