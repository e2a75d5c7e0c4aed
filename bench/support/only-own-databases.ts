/** Imported first by programs that make databases of their own: nothing of them runs where another one could be meant. */
import { refuseForeignDatabase } from './refusals.ts';

refuseForeignDatabase();
