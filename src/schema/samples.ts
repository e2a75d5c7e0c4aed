/** The sample data: the seed documents' own rows, a second tenant beside them, and credentials that are made up on the spot. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import bcrypt from 'bcrypt';
import { withClient } from './connection.ts';
import { migrationsFolder } from './migrate.ts';

export interface SampleUser {
  email: string;
  password: string;
  role: string;
  tenantId: string;
}

export interface Samples {
  /** The seed's tenant first. */
  users: SampleUser[];
  apiKey: string;
}

/** Made before the database is there: hashing takes a while and needs nothing of it. */
export interface SampleCredentials {
  password: string;
  passwordHash: Promise<string>;
  apiKey: string;
}

const seedTenant = '123e4567-e89b-12d3-a456-426614174000';

/** One password for all sample users: it is there to be typed. */
export function makeSampleCredentials(): SampleCredentials {
  const password = randomBytes(9).toString('base64url');
  return { password, passwordHash: bcrypt.hash(password, 12), apiKey: `sk_live_${randomBytes(32).toString('base64url')}` };
}

/** Runs `migrations/seeds/*.sql`, all or nothing. `hashApiKey` is the server's. */
export async function loadSamples(ownerUrl: string, credentials: SampleCredentials, hashApiKey: (key: string) => string): Promise<Samples> {
  const values: Record<string, string> = { ':PASSWORD_HASH': await credentials.passwordHash, ':API_KEY_HASH': hashApiKey(credentials.apiKey) };
  const folder = path.join(migrationsFolder, 'seeds');
  const statements = readdirSync(folder).filter((name) => name.endsWith('.sql')).sort()
    .map((name) => readFileSync(path.join(folder, name), 'utf8').replace(/:(PASSWORD|API_KEY)_HASH\b/g, (name) => values[name]!));
  return withClient(ownerUrl, async (client) => {
    await client.query(['begin', ...statements, 'commit'].join(';\n'));
    const { rows } = await client.query<{ email: string; role: string; tenant_id: string }>(`
      select u.email, u.role, u.tenant_id
      from app_public.users u
      join app_public.tenants t on t.id = u.tenant_id
      order by t.id <> $1, t.slug, u.id`, [seedTenant]);
    const users = rows.map((row) => ({ email: row.email, password: credentials.password, role: row.role, tenantId: row.tenant_id }));
    return { users, apiKey: credentials.apiKey };
  });
}
