/** Writes the pages of docs/ that are made from code. Tests compare them. */
import { writeFileSync } from 'node:fs';
import { generatedPages } from '../support/generated-pages.ts';

for (const [page, content] of generatedPages()) writeFileSync(new URL(`../../docs/${page}`, import.meta.url), content);
