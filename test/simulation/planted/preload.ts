/** `node --import preload.ts hunt.ts BUG`: the bug is planted before anything of the product is loaded. */
import { bugNamed } from './index.ts';
import { plant } from './plant.ts';

const bug = bugNamed(process.argv[2] ?? '');
const planting = plant(bug === null ? [] : bug.patches);
// Modules that are named on the command line are loaded by now; a file that was not among them was misspelt.
process.once('beforeExit', () => planting.assertPlanted());
