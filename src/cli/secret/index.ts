import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { AgentFlowError } from '../../errors.ts';
import { SecretBox } from '../../secrets.ts';
import { resealSecrets } from '../../store/sealed-secrets.ts';
import { action, exitCodes } from '../context.ts';
import { onDatabase } from '../db/work.ts';

export function secretCommands(): Command {
  return new Command('secret').description('Secrets that tenants have stored for their sources.').addCommand(rotateCommand());
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description('Seals all stored secrets anew under AGENTFLOW_SECRET_KEY. While it runs, and until every process has the new key, AGENTFLOW_SECRET_KEY_OLD holds the earlier ones (comma-separated). Exit code 1 when some cannot be opened.')
    .action(action((context) => onDatabase(context, async (database) => {
      const { secretKey, oldSecretKeys } = context.config;
      const current = secretKey ?? database.embedded?.secrets.secretKey ?? null;
      if (current === null) throw new AgentFlowError('CONFIG_INVALID', 'AGENTFLOW_SECRET_KEY is not set.', { remedy: 'Set it to the key that is to seal.' });
      const { sealed, kept, lost } = await withClient(database.databaseUrl, (client) => resealSecrets(client, new SecretBox([current, ...oldSecretKeys])));
      const lines = [`${sealed} sealed anew, ${kept} were so already.`, ...lost.map(({ tenant, name }) => `cannot be opened with any of the keys: '${name}' of tenant ${tenant}`)];
      context.answer({ sealed, kept, lost }, lines.join('\n'));
      return lost.length === 0 ? exitCodes.ok : exitCodes.failure;
    })));
}
