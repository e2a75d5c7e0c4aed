/** Writes the pages of docs/ that are made from code. Tests compare them. */
import { writeFileSync } from 'node:fs';
import { nodeTypeReference } from '../../src/nodes/reference.ts';

writeFileSync(new URL('../../docs/node-types.md', import.meta.url), nodeTypeReference());
