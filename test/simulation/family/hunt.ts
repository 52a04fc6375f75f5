/** Lives of tickets with comments, seed after seed, until one breaks a property. Prints what it broke as JSON: `hunt.ts BUG FROM TO`. */
import { liveFamily } from './life.ts';

const [, from = 1, to = 40] = process.argv.slice(2).map(Number);
let lives = 0;
let violations: Awaited<ReturnType<typeof liveFamily>> = [];
for (let seed = from; seed <= to && violations.length === 0; seed++) {
  violations = await liveFamily(seed);
  lives += 1;
}
process.stdout.write(`${JSON.stringify({ lives, violations })}\n`);
