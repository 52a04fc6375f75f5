/**
 * An exception: for an owner, a customer, or records with a value, a longer or a shorter time than the policy says. It
 * is a document of the ledger and no policy text: it has a requester, an approver and an end, and comes and goes without
 * a new version of the policy. This is what a decision needs to know of one that was granted.
 */
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';

export interface ExceptionRule {
  readonly id: string;
  /** `longer` retains until trigger + `active`. `shorter` is a date of disposition that beats the policy's own; what retains still wins. */
  readonly effect: 'longer' | 'shorter';
  /** ISO 8601 period, counted from the trigger. */
  readonly active: string;
  /** What it covers; null members cover all. */
  readonly scope: {
    readonly owner: OwnerId | null;
    readonly customer: CustomerId | null;
    /** Of an owner: a field of the record that has one of these values. */
    readonly value: ExceptionValues | null;
  };
  /** ms. It does nothing before. */
  readonly from: number;
  /** ms. Its end; null: none. A longer one still retains until the policy's grace after it, so that nothing goes on that day. */
  readonly until: number | null;
  /** ms. A shorter one does nothing before: granted + the policy's grace. Not looked at for a longer one. */
  readonly bitesAt: number;
}

/** Values of a field as codes under the key of an owner, for no value outlives the records that have it. */
export interface ExceptionValues {
  readonly field: string;
  readonly codes: readonly string[];
  /** The code of a text that is always the same: it tells whether the codes are of the owner's key. */
  readonly witness: string;
}

/** The code of a text in a field of a record. */
export type ValueCoder = (text: string) => string;

/** The coder of an owner's field; made ready for the owners whose exceptions name values. */
export type ValueCoders = (owner: OwnerId, field: string) => ValueCoder;

export type OwnerHmac = (data: string) => Uint8Array;

/** 128 bits: two values of one owner never share a code by chance. */
const CODE_BYTES = 16;

/** Not the code of the same value as a facet: what is looked for under one purpose is not found under another. */
export function exceptionCode(hmac: OwnerHmac, field: string, text: string): string {
  return coded(hmac, ['exception', field, text]);
}

export function witnessOf(hmac: OwnerHmac): string {
  return coded(hmac, ['exception', 'witness', 'of', 'the', 'key']);
}

function coded(hmac: OwnerHmac, parts: readonly string[]): string {
  const mac = hmac(JSON.stringify(parts));
  return Buffer.from(mac.buffer, mac.byteOffset, CODE_BYTES).toString('base64url');
}

/** Texts whose codes are kept in memory, for each field: some batches of records. */
const MOST_REMEMBERED = 10_000;

/** Computes each code once, for hundreds of exceptions may look at one field of one record. */
export function valueCoders(hmacs: ReadonlyMap<OwnerId, OwnerHmac>): ValueCoders {
  const coders = new Map<string, ValueCoder>();
  return (owner, field) => {
    const key = JSON.stringify([owner, field]);
    let coder = coders.get(key);
    if (coder === undefined) {
      const hmac = hmacs.get(owner);
      if (hmac === undefined) throw new MoraineError('INTERNAL', `Nobody read the key of owner ${owner}.`);
      coder = remembering((text) => exceptionCode(hmac, field, text));
      coders.set(key, coder);
    }
    return coder;
  };
}

function remembering(coder: ValueCoder): ValueCoder {
  const known = new Map<string, string>();
  let lastText = '';
  let lastCode = coder(lastText);
  return (text) => {
    // The same record, looked at by the next exception.
    if (text === lastText) return lastCode;
    let code = known.get(text);
    if (code === undefined) {
      code = coder(text);
      if (known.size >= MOST_REMEMBERED) known.clear();
      known.set(text, code);
    }
    lastText = text;
    lastCode = code;
    return code;
  };
}

/** What a record's texts are compared with. */
export function namedTexts(
  { id, scope }: Pick<ExceptionRule, 'id' | 'scope'>,
  { field, codes }: ExceptionValues,
  coders: ValueCoders | undefined,
): Pick<ReadonlySet<string>, 'has'> {
  if (scope.owner === null || coders === undefined)
    throw new MoraineError('INTERNAL', `Exception ${id} names values, and there is no key to compare them.`);
  const coder = coders(scope.owner, field);
  const named = new Set(codes);
  return { has: (text) => named.has(coder(text)) };
}

/** `x1`, or `x1 (2 values of topic)`: which values is for nobody to read. */
export function exceptionName({ id, scope }: Pick<ExceptionRule, 'id' | 'scope'>): string {
  return scope.value === null ? id : `${id} (${valuesText(scope.value)})`;
}

export function valuesText({ field, codes }: Pick<ExceptionValues, 'field' | 'codes'>): string {
  return codes.length === 1 ? `one value of ${field}` : `${codes.length} values of ${field}`;
}
