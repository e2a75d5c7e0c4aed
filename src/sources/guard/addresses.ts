/** Which addresses are the public internet. Everything else (this machine, private networks, link-local, metadata services) is not. */
import { BlockList, isIP } from 'node:net';

// IANA's special-purpose registries.
const closedRanges: readonly [network: string, prefix: number][] = [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12],
  ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24],
  ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4],
];

const closed = new BlockList();
for (const [network, prefix] of closedRanges) closed.addSubnet(network, prefix, 'ipv4');

// Of IPv6 only what is handed out for global use is public; inside it, what embeds or tunnels other addresses is not.
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');
const closedInside = new BlockList();
for (const [network, prefix] of [['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['3fff::', 20]] as const) {
  closedInside.addSubnet(network, prefix, 'ipv6');
}

export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !closed.check(address, 'ipv4');
  if (family === 6) return globalUnicast.check(address, 'ipv6') && !closedInside.check(address, 'ipv6');
  return false;
}
