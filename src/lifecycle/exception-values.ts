/**
 * The values that an exception names: codes under the key of its owner, made when it is asked for, and compared with what a
 * person says whenever somebody wants to know whether a value is among them. They never leave these functions.
 */
import { MoraineError } from '../errors.ts';
import { type OwnerId, partyId, id as typed } from '../ids.ts';
import type { ApprovalDocument } from '../ledger/approval-document.ts';
import { type ExceptionDocument, getException } from '../ledger/exceptions.ts';
import { type ExceptionValues, exceptionCode, valuesText, witnessOf } from '../policy/exception.ts';
import type { Policy } from '../policy/policy.ts';
import { ofAnotherKey } from './compile-in-force.ts';
import type { Context } from './context.ts';

/** Values of a field, as a person says them. */
export interface NamedValues {
  readonly field: string;
  readonly is: readonly string[];
}

/** Whose key the codes are of: the owner that was named, or the only one that the policy's records have. */
export function ownerOfValues({ name, dataset }: Policy, owner: OwnerId | null): OwnerId {
  const only = 'field' in dataset.owner ? null : partyId(dataset.owner.value);
  const found = owner ?? (only === null ? null : typed.owner(only));
  if (found !== null) return found;
  throw new MoraineError(
    'USAGE',
    `An exception for values names its owner, for records of policy ${name} have several.`,
    {
      hint: 'Pass --owner; ask for an exception for each.',
    },
  );
}

export async function codedValues(
  context: Context,
  owner: OwnerId,
  { field, is }: NamedValues,
): Promise<ExceptionValues> {
  const hmac = await context.keys.hmacFor(owner);
  const codes = new Set(is.map((text) => exceptionCode(hmac, field, text)));
  return { field, codes: [...codes].sort(), witness: witnessOf(hmac) };
}

/** For each value whether the exception names it. Throws USAGE for a field that it does not look at, and KEY_MISSING. */
export async function areNamed(
  context: Context,
  { _id, owner, value }: ExceptionDocument,
  { field, is }: NamedValues,
): Promise<readonly boolean[]> {
  if (value === null || owner === null || value.field !== field)
    throw new MoraineError('USAGE', `Exception ${_id} names no values of ${field}.`);
  const hmac = await context.keys.hmacFor(owner);
  if (witnessOf(hmac) !== value.witness) throw ofAnotherKey(_id, owner);
  return is.map((text) => value.codes.includes(exceptionCode(hmac, field, text)));
}

/**
 * Who puts an exception into force has to know what it is for. Throws USAGE unless all of its values are given, and no other;
 * for an approval of anything else no value may be.
 */
export async function assertValuesKnown(
  context: Context,
  { _id, kind, subject, requestedBy }: ApprovalDocument,
  given: NamedValues | null,
): Promise<void> {
  const { exception: name, act } = subject;
  const isAsked = kind === 'exception' && name !== undefined && act === undefined;
  const exception = isAsked ? await getException(context.store, name) : null;
  if (exception === null || exception.value === null) {
    if (given === null) return;
    throw new MoraineError('USAGE', `Approval ${_id} is for no values.`, { ids: { approval: _id } });
  }
  const { value } = exception;
  if (given === null) {
    throw new MoraineError(
      'USAGE',
      `Exception ${exception._id} is for ${valuesText(value)}, of which only codes are kept.`,
      {
        hint: `Let ${requestedBy} tell you which, and pass each of them: --value ${value.field}=VALUE.`,
        ids: { approval: _id, exception: exception._id },
      },
    );
  }
  const named = await areNamed(context, exception, given);
  const found = named.filter((isNamed) => isNamed).length;
  if (found === named.length && new Set(given.is).size === value.codes.length) return;
  throw new MoraineError(
    'USAGE',
    `These are not the values of exception ${exception._id}: it is for ${valuesText(value)}, and of ${named.length} given it names ${found}.`,
    {
      hint: `Refuse it, or let ${requestedBy} say again which values it is for.`,
      ids: { approval: _id, exception: exception._id },
    },
  );
}
