/** Writes `docs/errors.md`. Run it after a change of the list in `src/errors.ts`; a test compares the two. */
import { writeFileSync } from 'node:fs';
import { errorsPage } from './errors-page.ts';

writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsPage());
