import { Command } from 'commander';
import { withClient } from '../../schema/connection.ts';
import { AgentFlowError } from '../../errors.ts';
import { SecretBox } from '../../secrets.ts';
import { keysInUse, resealSecrets } from '../../store/sealed-secrets.ts';
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
      const keys = await withClient(database.databaseUrl, keysInUse);
      const lines = [`${sealed} sealed anew, ${kept} were so already.`, ...lost.map(({ tenant, name }) => `cannot be opened with any of the keys: '${name}' of tenant ${tenant}`),
        `${keys.active} API keys are active; ${keys.unused} of them were not used in the last day. Each moves to the new key when it is used: drop AGENTFLOW_SECRET_KEY_OLD when all that matter have been.`];
      context.answer({ sealed, kept, lost, apiKeys: keys }, lines.join('\n'));
      return lost.length === 0 ? exitCodes.ok : exitCodes.failure;
    })));
}
