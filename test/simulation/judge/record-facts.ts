/** What a record of a simulated life says about itself. */
import { BSON } from 'bson';
import type { Instant } from './observations.ts';
import { asFields, asInstant, asText, sameBytes } from './values.ts';

export interface RecordFacts {
  readonly owner: string | null;
  readonly customer: string | null;
  readonly trigger: Instant | null;
  /** The event that some policies wait for. */
  readonly closed: Instant | null;
  /** Another one: some policies wait for both. */
  readonly solved: Instant | null;
  readonly mail: string | null;
  /** What exceptions can name. */
  readonly label: string | null;
  /** What rules can name. */
  readonly topic: string | null;
  /** It lacks a usable owner, customer or trigger. */
  readonly isUnfit: boolean;
  /** Or its bytes do not survive decoding: then no guard can quote it, and it may stay. */
  readonly mayBeUnfit: boolean;
}

const UNREADABLE: RecordFacts = {
  owner: null,
  customer: null,
  trigger: null,
  closed: null,
  solved: null,
  mail: null,
  label: null,
  topic: null,
  isUnfit: true,
  mayBeUnfit: true,
};

export function readRecord(bytes: Uint8Array): RecordFacts {
  try {
    const document = BSON.deserialize(bytes, { promoteValues: true });
    const fields = asFields(document);
    const owner = nonEmpty(fields['owner']);
    const customer = nonEmpty(fields['tenant']);
    const trigger = asInstant(fields['at']);
    const isUnfit = owner === null || customer === null || trigger === null || Number.isNaN(trigger);
    const mayBeUnfit = isUnfit || !survives(bytes);
    const closed = asInstant(fields['closed']);
    return {
      owner,
      customer,
      trigger,
      closed,
      solved: asInstant(fields['solved']),
      mail: asText(fields['mail']),
      label: asText(fields['label']),
      topic: asText(fields['topic']),
      isUnfit,
      mayBeUnfit,
    };
  } catch {
    // Bytes that do not decode are a record too: one that nobody can take.
    return UNREADABLE;
  }
}

/** Stricter than needed: a document with numeric keys is reordered here, and then only nothing is asked of it. */
function survives(bytes: Uint8Array): boolean {
  return sameBytes(BSON.serialize(BSON.deserialize(bytes, { promoteValues: false, promoteLongs: false })), bytes);
}

function nonEmpty(value: unknown): string | null {
  const text = asText(value);
  return text === '' ? null : text;
}
