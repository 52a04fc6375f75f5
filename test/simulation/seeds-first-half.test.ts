/** The first half of the seeds of `npm test`. Two files, so that both cores are busy. */
import { testSeeds } from './seeds.ts';

testSeeds(0);
