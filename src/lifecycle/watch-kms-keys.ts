/**
 * A key of KMS that goes away takes with it what only it opens, and KMS gives seven days at least to cancel that. So each
 * look asks for every key that moraine.yaml names, and raises or ends an alarm for each. It stops no work by itself: an
 * owner's archives stop for want of a data key, and purging needs none.
 */
import { isMoraineError } from '../errors.ts';
import { type KmsKeyFault, kmsKeyFaults } from '../keys/port.ts';
import { endAlarm, raiseAlarm } from '../ledger/alarms.ts';
import type { Context } from './context.ts';

export interface KmsKeyLook {
  /** ARN. */
  readonly key: string;
  readonly faults: readonly KmsKeyFault[];
  /** It could not be looked at: the error; null where it could. */
  readonly unseen: { readonly code: string; readonly text: string } | null;
}

/** Asks KMS and changes nothing. A key that cannot be looked at hides none of the others. */
export async function lookAtKmsKeys({ keys }: Pick<Context, 'keys'>): Promise<readonly KmsKeyLook[]> {
  const looks: KmsKeyLook[] = [];
  for (const wrapping of keys.wrappingKeys ?? []) {
    const { key } = wrapping;
    try {
      looks.push({ key, faults: kmsKeyFaults(await wrapping.describeKey()), unseen: null });
    } catch (error) {
      if (!isMoraineError(error, 'KMS_REFUSED') && !isMoraineError(error, 'KMS_UNAVAILABLE')) throw error;
      looks.push({ key, faults: [], unseen: { code: error.code, text: error.message } });
    }
  }
  return looks;
}

/** For the hourly look: an alarm for each key in danger, ended when it is not. What could not be looked at changes none. */
export async function watchKmsKeys(context: Context): Promise<readonly KmsKeyLook[]> {
  const looks = await lookAtKmsKeys(context);
  for (const { key, faults, unseen } of looks) {
    if (unseen !== null) {
      context.log.warn({ code: unseen.code }, unseen.text);
      continue;
    }
    const [alarm] = faults.filter(({ isAlarm }) => isAlarm);
    if (alarm === undefined) await endAlarm(context.store, 'KMS_KEY_ENDANGERED', key);
    else await raiseAlarm(context.store, context.clock, 'KMS_KEY_ENDANGERED', `Key ${key} ${alarm.text}.`, key);
  }
  return looks;
}
