/** A customer leaves: nothing goes that was not handed over before, as it was handed over, and only what another person let go. */
import { grants } from './approvals.ts';
import { type Known, type KnownArchive, type KnownRecord, type ReturnedFacts, recordKey } from './known.ts';
import type { Observation, RawDocument } from './observations.ts';
import type { Report } from './properties.ts';
import { asFields, asText, sameBytes } from './values.ts';

export function seeReturned(known: Known, seen: Extract<Observation, { readonly what: 'export returned' }>): void {
  const { owner, customer, manifestSha256, records, archives } = seen;
  const byKey = (some: typeof records) =>
    new Map(some.map(({ namespace, id, bytes }) => [recordKey(namespace, id), bytes] as const));
  known.exports.set(seen.export, {
    owner,
    customer,
    manifestSha256,
    records: byKey(records),
    archives: new Map([...archives].map(([archive, some]) => [archive, byKey(some)] as const)),
  });
}

export function seeOffboardingAsked(
  known: Known,
  { export: exported, withoutArchives }: Extract<Observation, { readonly what: 'offboarding asked' }>,
): void {
  known.leaving.set(exported, withoutArchives || known.leaving.get(exported) === true);
}

/** A disposal of a customer who leaves, when it is begun. */
export function judgeOffboarding(known: Known, report: Report, disposal: RawDocument): void {
  if (disposal['kind'] !== 'offboard' || known.isLedgerSetBack) return;
  const granted = exportsGranted(known).some(
    ({ owner, customer }) => owner === disposal['owner'] && customer === disposal['customer'],
  );
  if (!granted)
    report(
      'act-without-approval',
      `Expiration ${disposal._id} of a customer who leaves was begun, and nobody granted that.`,
    );
}

/** What a record that goes with its customer is in, as it is; null: in no export that another person let go. */
export function returnedWith(
  known: Known,
  record: Pick<KnownRecord, 'key' | 'facts'>,
  bytes: Uint8Array,
): ReturnedFacts | null {
  return (
    exportsGranted(known).find(({ owner, customer, records }) => {
      if (owner !== record.facts.owner || customer !== record.facts.customer) return false;
      const returned = records.get(record.key);
      return returned !== undefined && sameBytes(returned, bytes);
    }) ?? null
  );
}

/** At the removal of the file of an archive that goes with its customer. */
export function judgeLeavingArchive(known: Known, report: Report, archive: KnownArchive, which: string): void {
  const early = asFields(archive.document?.['early']);
  const approval = known.approvals.get(asText(early['approval']) ?? '');
  if (approval?.kind !== 'offboard') return;
  const id = asText(approval.subject['export']) ?? '';
  const returned = known.exports.get(id);
  const of = `${which} of archive ${archive.id} went with customer ${String(archive.document?.['customer'])}`;
  if (returned === undefined) {
    report('left-unreturned', `${of}, and export ${id} was never handed over.`);
    return;
  }
  const held = returned.archives.get(archive.id);
  if (held === undefined) {
    // A copy in the export's own archives counts as little as none: a person has to say that it may go without.
    if (known.leaving.get(id) !== true && archive.deleted.size > 0)
      report('left-unreturned', `${of}, and export ${id} does not hold it.`);
    return;
  }
  for (const [key, { bytes }] of archive.deleted) {
    const copy = held.get(key);
    const isVoid = archive.outcomes?.get(key) !== 'd' && archive.outcomes?.get(key) !== 't';
    if (isVoid || (copy !== undefined && sameBytes(copy, bytes))) continue;
    report('left-unreturned', `${of}, and export ${id} does not hold a record of it as it was.`);
    return;
  }
}

function exportsGranted(known: Known): readonly ReturnedFacts[] {
  return grants(known, 'offboard').flatMap(({ subject, shown }) => {
    const returned = known.exports.get(asText(subject['export']) ?? '');
    return returned !== undefined && returned.manifestSha256 === shown['manifestSha256'] ? [returned] : [];
  });
}
