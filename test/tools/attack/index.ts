import { aliases } from './aliases.ts';
import { bombs } from './bombs.ts';
import { constraints } from './constraints.ts';
import { fuzz } from './fuzz.ts';
import { relayIds } from './relay-ids.ts';
import { subscriptions } from './subscriptions.ts';
import { tokens } from './tokens.ts';
import { wire } from './wire.ts';
import type { Attack } from './target.ts';

/** In the order in which they run: those that change rows come last. */
export const attacks: readonly Attack[] = [tokens, wire, aliases, bombs, subscriptions, relayIds, constraints, fuzz];
