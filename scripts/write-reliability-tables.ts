/** Writes the generated tables of `docs/reliability.md`. Run it after a change of the judge's properties or the planted bugs; a test compares them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { withTables } from './reliability-tables.ts';

const page = new URL('../docs/reliability.md', import.meta.url);
writeFileSync(page, withTables(readFileSync(page, 'utf8')));
