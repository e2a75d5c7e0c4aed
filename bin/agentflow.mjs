#!/usr/bin/env node
/**
 * The one way in: `npm start`, `npm test`, `npx agentflow ...`. Runs on any Node from 18 on, installs what is locked if it is
 * not there, finds a Node that can run AgentFlow (the one it runs on, else the one that comes as a package), and goes on as the
 * command line itself where it can; else it hands over to a process of that Node.
 *
 *     agentflow <room> <command> ...    the command line, src/cli/main.ts
 *     agentflow exec CMD ...            any command under that Node, with the project's own tools first in PATH
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import module from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const modules = path.join(root, 'node_modules');
const lock = path.join(root, 'package-lock.json');
/** Holds the digest of the lock that node_modules was installed from. */
const installedMark = path.join(modules, '.agentflow-installed');
/** Halves the time to load. */
const compiledFolder = path.join(modules, '.cache', 'compiled');
const environmentFault = 3;

main(process.argv.slice(2));

function main(args) {
  if (!isInstalled()) install();
  const node = findNode();
  const isExec = args[0] === 'exec';
  const program = path.join(root, 'src', 'cli', 'main.ts');
  // The first process of a container is told to end only by signals that it asks for: there the launcher stays, and passes them on.
  if (!isExec && process.pid !== 1 && node === process.execPath && runsTypeScriptQuietly(process.versions.node)) {
    void goOn(program, node);
    return;
  }
  const command = isExec ? args.slice(1) : [node, '--disable-warning=ExperimentalWarning', program, ...args];
  if (command.length === 0) fail(2, 'agentflow exec: no command given.', 'Usage: agentflow exec CMD [ARGUMENT ...]');
  handOver(command, { node, isOurs: !isExec });
}

/** By content, not by time: a checkout sets times as it likes. An install by hand (npm install, npm ci) counts when it is newer than the lock. */
function isInstalled() {
  if (!existsSync(lock)) return existsSync(modules);
  if (existsSync(installedMark) && readFileSync(installedMark, 'utf8') === lockDigest()) return true;
  const hidden = path.join(modules, '.package-lock.json');
  return existsSync(hidden) && statSync(hidden).mtimeMs >= statSync(lock).mtimeMs;
}

function lockDigest() {
  return createHash('sha256').update(readFileSync(lock)).digest('hex');
}

/** npm's own lines go to stderr: our standard output belongs to the command. */
function install() {
  process.stderr.write('agentflow: installing the locked packages (npm ci), about half a minute the first time ...\n');
  const started = Date.now();
  const npm = process.env.npm_execpath?.endsWith('npm-cli.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  const result = spawnSync(npm[0], [...npm.slice(1), 'ci', '--include=dev', '--include=optional', '--loglevel=error', '--no-progress'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (result.status !== 0) fail(environmentFault, 'agentflow: npm ci failed.', 'See the lines above; npm must reach its registry once.');
  writeFileSync(installedMark, lockDigest());
  process.stderr.write(`agentflow: installed in ${Math.round((Date.now() - started) / 1000)} s.\n`);
}

function findNode() {
  if (isNewEnough(process.versions.node)) return process.execPath;
  const packaged = path.join(modules, `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (existsSync(packaged)) return packaged;
  return fail(
    environmentFault,
    `agentflow: Node ${process.versions.node} is too old, and no packaged one is installed for ${process.platform}-${process.arch}.`,
    'Install Node 22.18 or later, or the optional dependencies (npm ci --include=optional).',
  );
}

/** 22.18 is the first that runs TypeScript as it is. */
function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}

/** Before, it warns that this is an experiment, unless it is told not to when it is started. */
function runsTypeScriptQuietly(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 12);
}

/** As the command line, in this process: another Node would take a twentieth of a second to come up. */
async function goOn(program, node) {
  process.env.NODE_COMPILE_CACHE ??= compiledFolder;
  process.env.PATH = toolsFirst(node);
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  if (process.env.npm_command) whenParentEnds(() => process.kill(process.pid, 'SIGTERM'));
  await import(pathToFileURL(program).href);
}

function toolsFirst(node) {
  return [path.join(modules, '.bin'), path.dirname(node), process.env.PATH].filter(Boolean).join(path.delimiter);
}

/**
 * Our own command line is told of our end by the closing of a channel (it then ends cleanly, even when we were killed);
 * signals are passed on as often as they come, and never end us before the command has ended.
 */
function handOver(command, { node, isOurs }) {
  const child = spawn(command[0], command.slice(1), {
    stdio: isOurs ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
    env: {
      ...(isOurs ? { NODE_COMPILE_CACHE: compiledFolder } : {}),
      ...process.env,
      PATH: toolsFirst(node),
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  if (process.env.npm_command) whenParentEnds(() => child.kill('SIGTERM'));
  child.on('error', (error) => {
    if (child.pid === undefined) fail(error.code === 'ENOENT' ? 127 : 126, `agentflow: cannot run ${command[0]}: ${error.message}`, 'Check the name of the command.');
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + os.constants.signals[signal]);
  });
}

/** npx puts a shell between itself and us, which dies without a word when npx is told to end: nobody could stop us any more. */
function whenParentEnds(end) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, 500);
  timer.unref();
}

function fail(code, message, remedy) {
  process.stderr.write(`${message}\n  ${remedy}\n`);
  process.exit(code);
}
