/** The design written by hand, with no index beyond those that it needs itself. */
import { openWith } from './by-hand.ts';
import type { Engine, EngineOptions } from './engine.ts';

export function open(options: EngineOptions): Promise<Engine> {
  return openWith(options, ['by-hand.sql']);
}
