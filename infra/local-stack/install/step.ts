import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../places.ts';
import { run } from '../run.ts';
import type { Progress } from '../services.ts';

const HASH_CHARACTERS = 10;
const MS_PER_SECOND = 1000;

/** One program of the native stack, made once into a directory of its own. */
export interface Step {
  readonly name: string;
  /** For the person who waits, e.g. "FerretDB 2.7 (go install)". */
  readonly title: string;
  /** How long it took on two cores, e.g. "about a minute". */
  readonly usually: string;
  /** All that decides what is made: another recipe is another directory. */
  readonly recipe: string;
  /** Fills the directory, which is empty. Output goes to the log. */
  make(directory: string, log: string): Promise<void>;
}

export function stepDir(step: Pick<Step, 'name' | 'recipe'>): string {
  return join(cacheDir(), 'programs', `${step.name}-${recipeHash(step.recipe)}`);
}

export function recipeHash(recipe: string): string {
  return createHash('sha256').update(recipe).digest('hex').slice(0, HASH_CHARACTERS);
}

export function isComplete(step: Step): boolean {
  return existsSync(stampFile(step));
}

/**
 * Makes what the step makes unless its stamp says that it is complete. The stamp is written last: a step that was cut
 * anywhere is made again from an empty directory. Callers hold the installation's lock.
 */
export async function ensureStep(step: Step, progress: Progress): Promise<void> {
  if (isComplete(step)) return;
  const directory = stepDir(step);
  const log = join(cacheDir(), 'programs', `${step.name}.log`);
  progress(`  ${step.title}: started, usually ${step.usually}`);
  const startedAt = performance.now();
  // A mount that another program left below must survive: this directory only.
  await run({ file: 'rm', args: ['-rf', '--one-file-system', directory] }, log);
  mkdirSync(directory, { recursive: true });
  await step.make(directory, log);
  writeFileSync(stampFile(step), `${step.recipe}\n`);
  progress(`  ${step.title}: done in ${Math.round((performance.now() - startedAt) / MS_PER_SECOND)} s`);
}

function stampFile(step: Step): string {
  return join(stepDir(step), 'complete');
}
