import { join } from 'node:path';
import { run } from '../run.ts';
import { type Step, stepDir } from './step.ts';

const PACKAGE = 'github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v2.7.0';

/** The gateway that speaks MongoDB's protocol in front of DocumentDB. */
export const ferretdb: Step = {
  name: 'ferretdb',
  title: 'FerretDB 2.7 (go install)',
  usually: 'about a minute and a half',
  recipe: PACKAGE,
  async make(directory, log) {
    await run({ file: 'go', args: ['install', PACKAGE], env: { GOBIN: directory } }, log);
  },
};

export function ferretdbProgram(): string {
  return join(stepDir(ferretdb), 'ferretdb');
}
