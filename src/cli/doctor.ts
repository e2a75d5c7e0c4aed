/** `agentflow doctor`: is this installation healthy? */
import { statSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { Command } from 'commander';
import { readConfig, type Config } from '../config.ts';
import { attachEmbedded, currentHolder } from '../embedded/index.ts';
import { AgentFlowError } from '../errors.ts';
import { withClient } from '../schema/connection.ts';
import { databaseFindings, type Finding } from '../schema/health.ts';
import { createOutput, exitCodes, type Output } from './context.ts';
import { demandForRoles } from './processes.ts';
import { readServerFile } from './server-file.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Check this installation: Node, environment, data folder, port, database, roles, migrations, row-level security. Changes nothing.')
    .action(async function act(this: Command) {
      process.exitCode = await examine(createOutput(this.opts<{ json?: boolean }>().json === true));
    });
}

/** An environment that is wrong is a finding here, not the end. */
async function examine(output: Output): Promise<number> {
  const findings = [nodeFinding()];
  const config = configOrFinding(findings);
  if (config) {
    findings.push(dataFolder(config), await port(config), ...await database(config));
  }
  const isHealthy = findings.every(({ status }) => status !== 'fail');
  output.answer({ isHealthy, findings }, [...findings.map(line), isHealthy ? 'Healthy.' : 'Not healthy.'].join('\n'));
  return isHealthy ? exitCodes.ok : exitCodes.failure;
}

function line({ name, status, message, remedy }: Finding): string {
  return `${status.padEnd(4)}  ${name.padEnd(18)}  ${message}${remedy ? `\n${' '.repeat(26)}-> ${remedy}` : ''}`;
}

function nodeFinding(): Finding {
  return { name: 'node', status: 'ok', message: `Node ${process.versions.node}, ${process.execPath}` };
}

function configOrFinding(findings: Finding[]): Config | null {
  try {
    const config = readConfig();
    demandForRoles(config, ['server', 'worker']);
    findings.push(config.warnings.length === 0
      ? { name: 'environment', status: 'ok', message: config.databaseUrl === null ? 'an embedded PostgreSQL is used (DATABASE_URL is not set)' : 'DATABASE_URL and what goes with it are set' }
      : { name: 'environment', status: 'warn', message: config.warnings.join(' '), remedy: 'Check the spelling.' });
    return config;
  } catch (error) {
    if (!(error instanceof AgentFlowError)) throw error;
    findings.push({ name: 'environment', status: 'fail', message: error.message, remedy: error.remedy });
    return null;
  }
}

function dataFolder({ dataDir }: Config): Finding {
  const name = 'data folder';
  if (!statSync(dataDir, { throwIfNoEntry: false })) return { name, status: 'ok', message: `${dataDir} does not exist yet; the first start makes it` };
  const open = ['secrets.json', 'samples.json', 'server.json'].filter((file) => ((statSync(path.join(dataDir, file), { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0);
  if (open.length > 0) return { name, status: 'fail', message: `others may read ${open.join(', ')} in ${dataDir}`, remedy: `chmod 600 ${open.map((file) => path.join(dataDir, file)).join(' ')}` };
  const holder = currentHolder(dataDir);
  return { name, status: 'ok', message: holder ? `${dataDir}, in use by process ${holder.pid} since ${holder.since}` : `${dataDir}, not in use` };
}

async function port(config: Config): Promise<Finding> {
  const [name, place] = ['port', `${config.host}:${config.port}`];
  if (config.port === 0) return { name, status: 'ok', message: 'any free one' };
  const problem = await new Promise<string | null>((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    probe.listen(config.port, config.host, () => probe.close(() => resolve(null)));
  });
  if (problem === null) return { name, status: 'ok', message: `${place} is free` };
  const own = readServerFile(config.dataDir);
  if (own && new URL(own.url).port === String(config.port)) return { name, status: 'ok', message: `${place} is served by process ${own.pid}` };
  return { name, status: 'warn', message: `${place}: ${problem}`, remedy: 'Set PORT to another one, or to 0 for a free one.' };
}

async function database(config: Config): Promise<Finding[]> {
  const url = config.databaseUrl ?? attachEmbedded(config.dataDir)?.url('agentflow_owner');
  if (url === undefined) return [{ name: 'database', status: 'warn', message: 'the embedded PostgreSQL is not running, so it was not looked at', remedy: 'Run agentflow doctor beside a running agentflow start.' }];
  try {
    return await withClient(url, databaseFindings);
  } catch (error) {
    return [{ name: 'database', status: 'fail', message: (error as Error).message || String((error as { code?: string }).code), remedy: 'Check DATABASE_URL and the server.' }];
  }
}
