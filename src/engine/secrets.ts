/** Secrets do not belong into documents: keys that hold one are refused wherever they appear. */
import { isObject } from './json.ts';
import type { Json, JsonObject } from './types.ts';

export const secretKeys: ReadonlySet<string> = new Set([
  'api_key', 'apikey', 'x_api_key', 'secret', 'secret_key', 'client_secret', 'password', 'passwd', 'token', 'access_token', 'auth_token', 'bearer_token',
  'refresh_token', 'authorization', 'proxy_authorization', 'private_key', 'credentials', 'connection_string', 'dsn', 'cookie',
]);

export function isSecretKey(key: string): boolean {
  return secretKeys.has(key.replaceAll('-', '_').toLowerCase());
}

const secretForms = [
  /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#@]*:[^/?#@]+@/,
  /^(Bearer +[^ ]{8,}|(sk|pk|rk|gsk|glpat|xox[abprs]|gh[a-z])[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|AKIA[0-9A-Z]{16})$/,
];
/** Keys of a node's metadata that say where a model is. */
const namesSource: ReadonlySet<string> = new Set(['api_key_env', 'base_url']);

/** A text that is a secret by its form: a URL with a password, the key of a well-known service, no name of a variable under `..._env`. The same as app_private.is_secret_text. */
function isSecretText(key: string, value: string): boolean {
  return secretForms.some((form) => form.test(value)) || (key.endsWith('_env') && value !== '' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(value));
}

/** Paths of the keys, at any depth, whose value is a secret. */
export function secretPaths(value: Json, path: readonly string[] = []): string[][] {
  if (Array.isArray(value)) return value.flatMap((entry, i) => secretPaths(entry, [...path, String(i)]));
  if (typeof value === 'string') return path.length > 0 && isSecretText(path.at(-1)!, value) ? [[...path]] : [];
  if (!isObject(value)) return [];
  if (path.length > 0 && refersToSecret(value)) return [];
  return Object.entries(value).flatMap(([key, entry]) => (holdsSecret(key, entry) ? [[...path, key]] : secretPaths(entry, [...path, key])));
}

/** `{"secret": "name"}` names a stored secret and holds none. */
function refersToSecret(value: JsonObject): boolean {
  return Object.keys(value).length === 1 && typeof value['secret'] === 'string';
}

/** Of a node's metadata: its own keys, and headers that are not filled from the state. */
export function metadataSecretPaths(metadata: JsonObject): string[][] {
  const own = Object.entries(metadata).filter(([key, value]) => holdsSecret(key, value) || (namesSource.has(key) && typeof value === 'string' && isSecretText(key, value))).map(([key]) => [key]);
  const headers = isObject(metadata.headers) ? metadata.headers : {};
  const inHeaders = Object.entries(headers).filter(([key, value]) => holdsSecret(key, value) && !(value as string).includes('{'));
  return [...own, ...inHeaders.map(([key]) => ['headers', key])];
}

function holdsSecret(key: string, value: Json): boolean {
  return isSecretKey(key) && typeof value === 'string' && value !== '';
}
