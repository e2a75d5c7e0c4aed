/** `agentflow documents`: operations to be registered, with AGENTFLOW_TRUSTED_DOCUMENTS, as the only ones that are served. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { AgentFlowError } from '../errors.ts';
import type { TrustedDocument } from '../server/trusted-documents.ts';
import { action, exitCodes, type Context } from './context.ts';
import { table } from './table.ts';

const snapshot = path.resolve(import.meta.dirname, '../../migrations/snapshot/schema.graphql');

export function documentsCommands(): Command {
  return new Command('documents')
    .description('Trusted documents: GraphQL operations that are registered beforehand, in a file or folder that AGENTFLOW_TRUSTED_DOCUMENTS names.')
    .addCommand(checkCommand())
    .addCommand(manifestCommand());
}

/** The file or folder named, or else the one of the environment. */
async function read(context: Context, place: string | undefined): Promise<TrustedDocument[]> {
  const from = place ?? context.config.face.trustedDocuments;
  if (from === null) throw new AgentFlowError('USAGE', 'No file or folder is named, and AGENTFLOW_TRUSTED_DOCUMENTS is not set.');
  const { readTrustedDocuments } = await import('../server/trusted-documents.ts');
  return readTrustedDocuments(path.resolve(from));
}

function checkCommand(): Command {
  return new Command('check')
    .argument('[place]', 'a .graphql or .json file, or a folder of them (default: AGENTFLOW_TRUSTED_DOCUMENTS)')
    .description('List the operations with their ids, each checked against the API (migrations/snapshot/schema.graphql) and its limits. Exit code 1 when one would be refused.')
    .action(action(async (context, _options, place?: string) => {
      const documents = await read(context, place);
      const [{ buildSchema }, { Documents }] = await Promise.all([import('postgraphile/graphql'), import('../server/documents.ts')]);
      const checker = new Documents(buildSchema(readFileSync(snapshot, 'utf8')));
      const found = documents.map(({ id, query, file }) => ({ id, file, problems: (checker.prepare(query).errors ?? []).map(({ message }) => message) }));
      const rows = found.map(({ id, file, problems }) => [problems.length === 0 ? 'ok' : 'REFUSED', id, file, problems.join(' ')]);
      context.answer(found, table(['', 'id', 'file', 'problems'], rows));
      return found.every(({ problems }) => problems.length === 0) ? exitCodes.ok : exitCodes.failure;
    }));
}

function manifestCommand(): Command {
  return new Command('manifest')
    .argument('[place]', 'a .graphql or .json file, or a folder of them (default: AGENTFLOW_TRUSTED_DOCUMENTS)')
    .description('Print all of them as one JSON manifest, {"<id>": "<query>"}: for the server, and for the clients that send the ids.')
    .action(action(async (context, _options, place?: string) => {
      const manifest = Object.fromEntries((await read(context, place)).map(({ id, query }) => [id, query]));
      context.answer(manifest, JSON.stringify(manifest, null, 2));
    }));
}
