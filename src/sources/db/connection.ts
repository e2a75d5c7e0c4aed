/** Where a db source is: its connection string taken apart, and nothing of this machine (variables, files, sockets) let in. */
import { NodeError } from '../../errors.ts';

export interface Target {
  host: string;
  port: number;
  database: string;
  user: string;
  password: string;
  /** Null: not encrypted. `prefer` is not offered: what may be read on the way is said, not left to chance. */
  tls: { rejectUnauthorized: boolean } | null;
}

const postgresPort = 5432;
const protocols = new Set(['postgres:', 'postgresql:']);
/** Settings of a connection string that are taken; others are refused, for some of them read files or change where the connection goes. */
const known = new Set(['sslmode', 'application_name', 'connect_timeout', 'target_session_attrs', 'channel_binding', 'gssencmode']);

/** @throws NodeError SOURCE_NOT_ALLOWED or INVALID_VALUE, without anything of the text, for it holds a password. */
export function targetOf(connectionString: string): Target {
  // Some write the driver behind the name: postgresql+psycopg://.
  const url = URL.parse(connectionString.trim().replace(/^(postgres(?:ql)?)\+\w+:/, '$1:'));
  if (url === null || !protocols.has(url.protocol)) {
    throw invalid('its connection is no URL of the form postgres://user:password@host:port/database');
  }
  const unknown = [...url.searchParams.keys()].filter((key) => !known.has(key));
  if (unknown.length > 0) throw new NodeError('SOURCE_NOT_ALLOWED', `its connection sets ${unknown.map(shortened).join(', ')}; only ${[...known].join(', ')} may be set`, { remedy: 'Remove the other settings from the connection.' });
  const host = decoded(url.hostname).replace(/^\[|\]$/g, '').toLowerCase();
  const database = decoded(url.pathname.slice(1));
  const user = decoded(url.username);
  if (host === '' || host.includes('/') || host.includes(',')) throw invalid('its connection must name one host');
  if (database === '' || user === '') throw invalid('its connection must name a user and a database');
  return { host, port: url.port === '' ? postgresPort : Number(url.port), database, user, password: decoded(url.password), tls: tlsOf(url.searchParams.get('sslmode')) };
}

function tlsOf(mode: string | null): Target['tls'] {
  switch (mode) {
    case null: case 'disable': case 'allow': case 'prefer': return null;
    case 'require': return { rejectUnauthorized: false };
    case 'verify-ca': case 'verify-full': return { rejectUnauthorized: true };
    default: throw invalid('sslmode of its connection must be disable, require, verify-ca or verify-full');
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('its connection holds a % that is not followed by two digits');
  }
}

function shortened(key: string): string {
  return key.slice(0, 40);
}

function invalid(message: string): NodeError {
  return new NodeError('INVALID_VALUE', message, { remedy: 'Correct the variable or secret that holds the connection.' });
}
