/**
 * `npm run bench [whole-job] [clearing] [memory] [reconcile] [planning] [upload] [tree-hash]`: figures as ratios against something else in the same run, on one
 * machine. Nothing is asserted: people read it, and docs/performance.md quotes it with its date.
 */
import { cpus, totalmem } from 'node:os';
import { measureClearing } from './clearing.ts';
import { measureMemory } from './memory.ts';
import { measurePlanning } from './planning.ts';
import { measureReconcile } from './reconcile.ts';
import { dropSetting, openSetting, type Setting } from './setting.ts';
import { measureTreeHash } from './tree-hash.ts';
import { measureUpload } from './upload.ts';
import { measureWholeJob } from './whole-job.ts';

const MEASUREMENTS: Readonly<Record<string, (setting: Setting) => Promise<readonly string[]>>> = {
  'whole-job': measureWholeJob,
  clearing: measureClearing,
  memory: measureMemory,
  reconcile: measureReconcile,
  planning: measurePlanning,
  upload: measureUpload,
  'tree-hash': measureTreeHash,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in MEASUREMENTS));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are: ${Object.keys(MEASUREMENTS).join(', ')}.`);
  process.exit(2);
}
console.log(
  `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`,
);
const setting = await openSetting();
try {
  for (const [name, measure] of Object.entries(MEASUREMENTS)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    for (const line of await measure(setting)) console.log(line);
  }
} finally {
  await dropSetting(setting);
  await setting.close();
}
