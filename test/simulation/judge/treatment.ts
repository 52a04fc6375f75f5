/**
 * Records that Moraine wrote over in place: only where a policy says so, only the fields that it names, once, not before
 * they are due, and never under a hold or pause. What a treated field must look like is written here anew, from the words of
 * the decision (docs/decisions/0013-dispositions-in-place.md), and not from the product's code.
 */
import { BSON } from 'bson';
import { covers, isInForce } from './brakes.ts';
import { faultOfTime } from './due.ts';
import { CLOCK_TOLERANCE_MS, type Known, type KnownArchive, type KnownRecord } from './known.ts';
import type { Instant, PolicyFacts, RawDocument, SourceRecord } from './observations.ts';
import type { Report } from './properties.ts';
import { readRecord } from './record-facts.ts';
import { asFields, asText } from './values.ts';

export const MARKER = '_moraine';

/** What gives Moraine the right to write over a record: an archive that holds it and is to be treated, or a disposal. */
export interface TreatmentBasis {
  readonly archive: KnownArchive | null;
  readonly disposal: RawDocument | null;
  /** `archive <id>` or `expiration <id>`, as the audit chain names it. */
  readonly subject: string;
}

export interface Treated {
  readonly by: string;
  readonly record: SourceRecord;
  readonly before: Uint8Array;
}

/** Null: the document carries no marker. */
export function markerOf(bytes: Uint8Array): { readonly version: string; readonly treatment: string } | null {
  const marker = asFields(asFields(BSON.deserialize(bytes))[MARKER]);
  const [version, treatment] = [asText(marker['treated']), asText(marker['treatment'])];
  return version === null || treatment === null ? null : { version, treatment };
}

export function judgeTreatment(
  known: Known,
  report: Report,
  { by, record, before }: Treated,
  basis: TreatmentBasis | null,
  now: Instant,
): void {
  const which = `Record ${record.id} of ${record.namespace} (${by})`;
  const facts = readRecord(before);
  const marker = markerOf(record.bytes);
  const policy = policyOf(known, record.namespace, marker?.version ?? null);
  if (policy === null || marker === null) {
    report(
      'source-overwritten',
      `${which} was written over, and ${policy === null ? 'no policy treats it' : 'it has no marker'}.`,
    );
    return;
  }
  if (markerOf(before)?.treatment === marker.treatment) report('treated-twice', `${which} was treated a second time.`);
  for (const fault of faultsOf(known, policy, facts.owner, before, record.bytes))
    report(fault.property, `${which}: ${fault.text}.`);
  if (basis === null)
    report(
      'treated-without-order',
      `${which} was treated, and no disposal and no verified archive of it is under way.`,
    );
  else if (!known.auditOf(basis.subject).some(({ phase, act }) => phase === 'intent' && /clear|treat/.test(act)))
    report('act-without-intent', `${which} was treated before the audit chain held an intent for ${basis.subject}.`);
  if (facts.owner === null || !known.facts.owners.includes(facts.owner))
    report('owner-unknown-deleted', `${which} was treated; its owner is ${facts.owner ?? 'not usable'}.`);
  const order = basis?.archive?.document ?? basis?.disposal ?? null;
  const fault = faultOfTime(known, known.policiesOf({ document: order }, record.namespace), facts, order, now);
  if (fault?.why === 'not due') report('treated-not-due', `${which} ${fault.text} and was treated before.`);
  else if (fault !== null) report('taken-under-exception', `${which} ${fault.text} and was treated before.`);
  for (const brake of known.brakes) {
    if (!isInForce(known, brake, now) || !covers(known, brake.scope, record.namespace, record.id, facts)) continue;
    report(
      'treated-under-brake',
      `${which} was treated under ${brake.kind} ${brake.name}, which was reported in force.`,
    );
  }
}

/** What is treated now may be exempt after a restore: the archive that it came from says so, and it is judged where it is kept. */
export function isExempt(record: KnownRecord, now: Instant): boolean {
  return record.putBy === 'moraine' && (record.exemptUntil ?? 0) > now + CLOCK_TOLERANCE_MS;
}

/** The version that the marker names, where it is known; it must treat, and this collection. */
function policyOf(known: Known, namespace: string, version: string | null): PolicyFacts | null {
  const [pinned] = known.policyVersions.get(version ?? '') ?? [];
  return pinned?.namespace === namespace && pinned.treat !== undefined ? pinned : null;
}

interface Fault {
  readonly property: 'treated-other-fields' | 'pseudonym-differs';
  readonly text: string;
}

function faultsOf(
  known: Known,
  policy: PolicyFacts,
  owner: string | null,
  before: Uint8Array,
  after: Uint8Array,
): readonly Fault[] {
  const treat = new Map((policy.treat ?? []).map(({ field, how }) => [field, how]));
  const [was, is] = [before, after].map((raw) => asFields(BSON.deserialize(raw, { promoteValues: false })));
  if (was === undefined || is === undefined) return [];
  const rest = (fields: Readonly<Record<string, unknown>>) =>
    Object.entries(fields)
      .filter(([name]) => name !== MARKER && !treat.has(name))
      .map(([name, value]) => `${name}=${Buffer.from(BSON.serialize({ value })).toString('hex')}`);
  const faults: Fault[] = [];
  const other = (text: string) => faults.push({ property: 'treated-other-fields', text });
  if (JSON.stringify(rest(was)) !== JSON.stringify(rest(is))) other('fields that the policy does not name differ');
  for (const [name, how] of treat) {
    const [from, to] = [was[name], is[name]];
    if (from === undefined || from === null || from === '') {
      if (to !== from) other(`${name} was empty and is not`);
    } else if (how === 'anonymise') {
      if (to !== undefined) other(`${name} is still there`);
    } else if (how === 'redact') {
      if (to !== '[redacted]') other(`${name} is not redacted`);
    } else {
      const fault = faultOfPseudonym(known, owner ?? '', String(from), String(to));
      if (fault !== null) faults.push({ property: 'pseudonym-differs', text: `${name} ${fault}` });
    }
  }
  return faults;
}

/** One person of one owner has one pseudonym, and no two share one. */
function faultOfPseudonym(known: Known, owner: string, from: string, to: string): string | null {
  if (!to.startsWith('pseudonym:')) return 'is no pseudonym';
  // Treated before, under another treatment: it stays.
  if (known.personOf.get(from)?.startsWith(`${owner}\0`) === true) return from === to ? null : 'got a second pseudonym';
  const person = `${owner}\0${from.normalize('NFC').trim().toLowerCase()}`;
  const expected = known.pseudonyms.get(person);
  if (expected !== undefined && expected !== to) return 'is another pseudonym than the same person had';
  if ((known.personOf.get(to) ?? person) !== person) return 'is the pseudonym of somebody else';
  known.pseudonyms.set(person, to);
  known.personOf.set(to, person);
  return null;
}
