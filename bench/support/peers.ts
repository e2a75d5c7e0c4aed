/** The engines that ours is measured beside, and what draws the plots; pinned, installed on demand, each into a folder of its own, outside the project's own packages. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { projectFolder } from '../../src/schema/migrate.ts';

export const peerPackages: Readonly<Record<string, string[]>> = {
  dbos: ['@dbos-inc/dbos-sdk@5.3.0'],
  openworkflow: ['openworkflow@0.10.1', 'postgres@3.4.9'],
  'pg-boss': ['pg-boss@12.35.0'],
  plots: ['vega@6.4.0', 'vega-lite@6.5.0'],
};

const cache = path.join(projectFolder, 'node_modules', '.cache', 'bench');

/** The folder with the packages in it; null, and why is said, where npm cannot get them. */
export function installPeer(name: string): string | null {
  const packages = peerPackages[name];
  if (packages === undefined) return projectFolder;
  const folder = path.join(cache, name);
  const mark = path.join(folder, '.installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === packages.join(' ')) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
  const { status, stderr } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, ...packages], { encoding: 'utf8' });
  if (status !== 0) {
    process.stderr.write(`${name} cannot be had: npm could not install ${packages.join(', ')}: ${stderr?.trim().split('\n').at(-1) ?? 'npm is not here'}\n`);
    return null;
  }
  writeFileSync(mark, packages.join(' '));
  return folder;
}
