/** What `moraine check` says of the keys of KMS. */

import type { Context } from '../lifecycle/context.ts';
import { lookAtKmsKeys } from '../lifecycle/watch-kms-keys.ts';
import type { Finding } from './check-findings.ts';
import { EXIT } from './exit-code.ts';

export async function checkKmsKeys(context: Context): Promise<readonly Finding[]> {
  return (await lookAtKmsKeys(context)).flatMap(({ key, faults, unseen }): readonly Finding[] => {
    if (unseen !== null) {
      const isAway = unseen.code === 'KMS_UNAVAILABLE';
      const exit = isAway ? EXIT.failed : EXIT.person;
      return [{ level: 'error', about: 'kms', text: unseen.text, code: unseen.code, exit }];
    }
    const findings = faults.map(({ text, isAlarm }): Finding => {
      const said = { about: 'kms', text: `Key ${key} ${text}.` };
      return isAlarm
        ? { level: 'error', ...said, hint: KEEP, code: 'KMS_KEY_ENDANGERED', exit: EXIT.person }
        : { level: 'warning', ...said, hint: 'Run `aws kms enable-key-rotation`.' };
    });
    return findings.length > 0 ? findings : [{ level: 'ok', about: 'kms', text: `Key ${key} is enabled and rotates.` }];
  });
}

const KEEP = 'Run `aws kms cancel-key-deletion` or `aws kms enable-key` before what only it opens is lost.';
