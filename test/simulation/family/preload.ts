/** `node --import preload.ts hunt.ts BUG FROM TO`: the bug is planted before anything of the product is loaded. */
import { plant } from '../planted/plant.ts';
import { familyBugNamed } from './bugs.ts';

const planting = plant(familyBugNamed(process.argv[2] ?? '')?.patches ?? []);
process.once('beforeExit', () => planting.assertPlanted());
