/** Sources for a process that serves the API: they are tried here, and run in the worker. Loaded with the first one that is tried. */
import type { Config } from '../config.ts';
import type { SourceTools } from '../server/source-tools.ts';

export function loadSourceTools(config: Config): SourceTools & { close(): Promise<void> } {
  const load = async () => {
    const { createSources, trySource } = await import('../sources/index.ts');
    return { sources: createSources(config), trySource };
  };
  let loaded: ReturnType<typeof load> | null = null;
  return {
    async test(source) {
      const { sources, trySource } = await (loaded ??= load());
      return trySource(sources, source);
    },
    close: async () => (await loaded)?.sources.close(),
  };
}
