/**
 * Secrets that tenants store: AES-256-GCM under a key derived from `AGENTFLOW_SECRET_KEY`, sealed before the database sees them, and bound to
 * tenant and name, so that a sealed text moved to another row does not open. Every sealed text names its key: earlier keys can still open while
 * the new one seals.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

export interface SecretOwner {
  tenantId: string;
  name: string;
}

interface SealingKey {
  id: string;
  key: Buffer;
}

const form = 'v1';
const keyInfo = 'agentflow stored secrets';
const ivBytes = 12;
const tagBytes = 16;

export class SecretBox {
  readonly #keys: readonly SealingKey[];

  /** `secretKeys`: the one that seals, then those that only open. */
  constructor(secretKeys: readonly string[]) {
    this.#keys = secretKeys.map((secretKey) => {
      const key = Buffer.from(hkdfSync('sha256', secretKey, '', keyInfo, 32));
      return { key, id: createHash('sha256').update(key).digest('hex').slice(0, 8) };
    });
  }

  /** The beginning of what this box seals; texts with another one are to be sealed anew. */
  get prefix(): string {
    return `${form}.${this.#keys[0]!.id}.`;
  }

  seal(value: string, owner: SecretOwner): string {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0]!.key, iv).setAAD(boundTo(owner));
    const sealed = Buffer.concat([iv, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${this.prefix}${sealed.toString('base64url')}`;
  }

  /** Null: none of the keys opens it, or it is not this owner's. */
  open(sealed: string, owner: SecretOwner): string | null {
    const [version, id, body = ''] = sealed.split('.');
    const key = this.#keys.find((candidate) => candidate.id === id);
    const bytes = Buffer.from(body, 'base64url');
    if (version !== form || key === undefined || bytes.length < ivBytes + tagBytes) return null;
    const decipher = createDecipheriv('aes-256-gcm', key.key, bytes.subarray(0, ivBytes)).setAAD(boundTo(owner)).setAuthTag(bytes.subarray(-tagBytes));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(ivBytes, -tagBytes)), decipher.final()]).toString('utf8');
    } catch {
      // The tag does not fit: changed, or moved from elsewhere.
      return null;
    }
  }
}

function boundTo({ tenantId, name }: SecretOwner): Buffer {
  return Buffer.from(`${tenantId.toLowerCase()}\0${name}`);
}
