/**
 * The judge is judged. A planted bug is a mistake of a few words in the product's source, made in the memory of one
 * process while the module loads: production code has no switch for it. Each must be caught by the judge of the
 * simulation, by a property that says what is wrong.
 *
 * To add one: put it into the file of its promise in `bugs/`, with a `find` that is short, stable and there exactly once
 * (what is found never or twice fails loudly), the properties that are to catch it, and a life in which it shows. Most
 * need no chance: {@link Aim} lets something happen at a call that a first life without faults has shown. Try it with
 * `node --import ./test/simulation/planted/preload.ts test/simulation/planted/hunt.ts 'its name'`. A bug that no
 * property catches is a finding about the judge or the simulator: mend that, and keep the bug.
 *
 * Some are bugs of an adapter (they say so): the guard and the deadline of a delete, for one, are carried out by the database.
 */
import type { PlantedBug } from './bug.ts';
import { BRAKE_BUGS } from './bugs/brakes.ts';
import { CHANGE_BUGS } from './bugs/changes.ts';
import { CHILD_BUGS } from './bugs/children.ts';
import { COPY_BUGS } from './bugs/copies.ts';
import { DELETE_BUGS } from './bugs/deletes.ts';
import { PERIOD_BUGS } from './bugs/periods.ts';
import { SCHEDULE_BUGS } from './bugs/schedules.ts';
import { SECRET_BUGS } from './bugs/secrets.ts';
import { STEP_BUGS } from './bugs/steps.ts';
import { TREATMENT_BUGS } from './bugs/treatments.ts';

export const BUGS: readonly PlantedBug[] = [
  ...COPY_BUGS,
  ...DELETE_BUGS,
  ...BRAKE_BUGS,
  ...PERIOD_BUGS,
  ...STEP_BUGS,
  ...SECRET_BUGS,
  ...TREATMENT_BUGS,
  ...SCHEDULE_BUGS,
  ...CHILD_BUGS,
  ...CHANGE_BUGS,
];

/** Not among them: its text is nowhere, so that a test can see what happens then. */
export const UNARMED: PlantedBug = {
  name: 'unarmed',
  promise: 1,
  what: 'Looks for a text that is not there.',
  patches: [{ file: 'src/lifecycle/clear.ts', find: 'a text that is not there', replace: '' }],
  caughtBy: [],
  life: () => {
    throw new Error('A bug that is not planted was let live.');
  },
};

/** `none`: null. Throws for a name that no bug has. */
export function bugNamed(name: string): PlantedBug | null {
  if (name === 'none') return null;
  const found = [...BUGS, UNARMED].find((bug) => bug.name === name);
  if (found === undefined) throw new Error(`There is no planted bug ${JSON.stringify(name)}.`);
  return found;
}
