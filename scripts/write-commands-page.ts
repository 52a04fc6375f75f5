/** Writes `docs/commands.md` from the commands' help. Run it after a change of a command; a test compares the two. */
import { writeFileSync } from 'node:fs';
import { commandsPage } from './commands-page.ts';

writeFileSync(new URL('../docs/commands.md', import.meta.url), await commandsPage());
