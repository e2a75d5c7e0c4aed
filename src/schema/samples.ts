/** The sample data: the schema document's own rows, a second tenant beside them, and credentials that are made up on the spot. */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import bcrypt from 'bcrypt';
import { withClient } from './connection.ts';
import { migrationsFolder } from './folders.ts';

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

export interface SampleCredentials {
  /** One for all sample users: it is there to be typed. */
  password: string;
  passwordHash: string;
  apiKey: string;
}

const seedTenant = '123e4567-e89b-12d3-a456-426614174000';

/** Where the documents' rows have a hash that is none. In the file of API keys it stands for the key's, elsewhere for the password's. */
const placeholder = `'$2b$12$...'`;
const apiKeyFile = '60_sample_api_keys.sql';

export async function makeSampleCredentials(): Promise<SampleCredentials> {
  const password = randomBytes(9).toString('base64url');
  return { password, passwordHash: await bcrypt.hash(password, 12), apiKey: `sk_live_${randomBytes(32).toString('base64url')}` };
}

export function hasSampleCredentials(dataDir: string): boolean {
  return existsSync(path.join(dataDir, 'samples.json'));
}

/** The credentials of a data folder; where it has none, `fresh` become its own. Only for who holds the folder. */
export async function keepSampleCredentials(dataDir: string, fresh: Promise<SampleCredentials> | null): Promise<SampleCredentials> {
  const file = path.join(dataDir, 'samples.json');
  if (hasSampleCredentials(dataDir)) return JSON.parse(readFileSync(file, 'utf8')) as SampleCredentials;
  const credentials = await (fresh ?? makeSampleCredentials());
  writeFileSync(`${file}.tmp`, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
  return credentials;
}

/**
 * Loads the rows of `migrations/seeds` into a database without tenants, all or nothing; one that has tenants stays as it is.
 * Returns the users that (still) have the sample password.
 */
export async function loadSamples(ownerUrl: string, credentials: SampleCredentials, hashApiKey: (key: string) => string): Promise<Samples> {
  return withClient(ownerUrl, async (client) => {
    const { rowCount } = await client.query('select from app_public.tenants limit 1');
    if (rowCount === 0) await client.query(['begin', ...seedStatements(credentials.passwordHash, hashApiKey(credentials.apiKey)), 'commit'].join(';\n'));
    const { rows } = await client.query<{ email: string; role: string; tenant_id: string }>(`
      select u.email, u.role, u.tenant_id
      from app_public.users u
      join app_public.tenants t on t.id = u.tenant_id
      where u.password_hash = $2 and u.status = 'active'
      order by t.id <> $1, t.slug, u.id`, [seedTenant, credentials.passwordHash]);
    const users = rows.map((row) => ({ email: row.email, password: credentials.password, role: row.role, tenantId: row.tenant_id }));
    return { users, apiKey: credentials.apiKey };
  });
}

function seedStatements(passwordHash: string, apiKeyHash: string): string[] {
  const folder = path.join(migrationsFolder, 'seeds');
  return readdirSync(folder).filter((name) => name.endsWith('.sql')).sort().map((name) => {
    const hash = name === apiKeyFile ? apiKeyHash : passwordHash;
    return readFileSync(path.join(folder, name), 'utf8').replaceAll(placeholder, () => `'${hash}'`);
  });
}
