/** Sources for a process that serves the API: they are tried here, and run in the worker. */
import type { Config } from '../config.ts';
import type { SourceTools } from '../server/source-tools.ts';
import { createSources, trySource } from '../sources/index.ts';

export function loadSourceTools(config: Config): SourceTools & { close(): Promise<void> } {
  const sources = createSources(config);
  return { test: (source) => trySource(sources, source), close: () => sources.close() };
}
