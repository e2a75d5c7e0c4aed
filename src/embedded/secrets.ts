/** What the embedded start makes up once and keeps in the data folder, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { AgentFlowError } from '../errors.ts';

export interface Secrets {
  /** Passwords by database role. */
  passwords: { postgres: string; agentflow_owner: string; agentflow_authenticator: string; agentflow_worker: string };
  jwtSecret: string;
  secretKey: string;
}

export function loadSecrets(dataDir: string): Secrets {
  const file = path.join(dataDir, 'secrets.json');
  if (!existsSync(file)) return makeSecrets(file);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Secrets;
  } catch (error) {
    throw new AgentFlowError('EMBEDDED_POSTGRES', `The file ${file} cannot be read as JSON.`, {
      remedy: 'Restore it from a backup: it holds the passwords of the databases in this folder. Or set AGENTFLOW_DATA_DIR to a new folder.',
      cause: error,
    });
  }
}

function makeSecrets(file: string): Secrets {
  const secret = (): string => randomBytes(32).toString('base64url');
  const secrets: Secrets = {
    passwords: { postgres: secret(), agentflow_owner: secret(), agentflow_authenticator: secret(), agentflow_worker: secret() },
    jwtSecret: secret(),
    secretKey: secret(),
  };
  writeFileSync(`${file}.tmp`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.tmp`, file);
  return secrets;
}
