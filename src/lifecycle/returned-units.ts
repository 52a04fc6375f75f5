/**
 * Whether what hangs on a record was returned to the customer who leaves: every child with the bytes that the export has,
 * every file that would be deleted in the version that the export has. The records themselves are compared where they are
 * ordered (offboard-records.ts).
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { Namespace } from '../ids.ts';
import type { CodeEntry } from '../ledger/code-pages.ts';
import { type OffboardingDocument, orderedBy } from '../ledger/offboardings.ts';
import { amongReturned, writeReturnedUnits } from '../ledger/returned-units.ts';
import type { ChildRecord, ChildShape, FoundAttachment, Party, RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';
import type { AttachmentLine } from './export-customer.ts';
import { attachmentLine } from './export-source.ts';
import { quarantineRecord } from './quarantine-record.ts';
import type { UnitReader } from './unit-reader.ts';
import type { VerifiedExport } from './verified-export.ts';

/** What came too late to be returned, as the quarantine says it. */
export const NOT_RETURNED = 'not-returned';

/** Codes asked for at once. */
const AT_ONCE = 1_000;
/** What tells a file and its version, of the fields of an index line. */
const FILE_FIELDS = ['kind', 'bucket', 'store', 'key', 'version', 'id', 'about'] as const;

type Hmac = (data: string | Uint8Array) => Uint8Array;

/** Writes down what the export holds of children and files. Idempotent. Throws EXPORT_CORRUPT, with nothing to act on. */
export async function rememberReturned(
  context: Context,
  offboarding: OffboardingDocument,
  exported: VerifiedExport,
): Promise<void> {
  const { owner, customer } = offboarding;
  const hmac = await context.keys.hmacFor(owner);
  const parts = exported.manifest.collections.filter(({ part }) => part !== 'records');
  const count = parts.reduce((total, { records }) => total + records, 0);
  async function* codes(): AsyncGenerator<CodeEntry> {
    for (const { part, collection, files } of parts) {
      if (part === 'children') {
        for await (const batch of exported.documents(files))
          for (const record of batch) yield { code: childCode(hmac, collection, record) };
      } else {
        for await (const line of exported.attachments(files)) yield { code: fileCode(hmac, line) };
      }
    }
  }
  await writeReturnedUnits(context.store, { _id: orderedBy(offboarding), owner, customer, count }, codes);
}

/** All that hangs on a prepared record, and would go with it, was returned. */
export async function isUnitReturned(
  context: Context,
  offboarding: OffboardingDocument,
  reader: UnitReader,
  record: RawRecord,
  attachments: readonly FoundAttachment[],
): Promise<boolean> {
  const hmac = await context.keys.hmacFor(offboarding.owner);
  let codes = attachments.flatMap(({ exclusive, facts }) => (exclusive ? [fileCode(hmac, attachmentLine(facts))] : []));
  const areReturned = async () =>
    (await amongReturned(context.store, orderedBy(offboarding), codes)).size === codes.length;
  for await (const { child, record: one } of reader.children(record)) {
    codes.push(childCode(hmac, child.collection, one));
    if (codes.length < AT_ONCE) continue;
    if (!(await areReturned())) return false;
    codes = [];
  }
  return codes.length === 0 || (await areReturned());
}

/**
 * Of children whose root is deleted, those that were returned. The others came or changed in the moment between: they stay,
 * and are quarantined, for whoever looks after the customer to give back.
 */
export async function onlyReturned(
  context: Context,
  of: Party & { readonly policy: string; readonly saidBy: string },
  child: ChildShape,
  children: readonly ChildRecord[],
): Promise<readonly ChildRecord[]> {
  const { owner, customer, policy } = of;
  const hmac = await context.keys.hmacFor(owner);
  const sort = async (some: readonly ChildRecord[]) => {
    const codes = some.map((one) => childCode(hmac, child.collection, one));
    const returned = await amongReturned(context.store, of.saidBy, codes);
    return Map.groupBy(some, (_, at) => returned.has(at));
  };
  const first = await sort(children);
  const doubtful = first.get(false) ?? [];
  // Read once more: what arrived with other bits than were sent is no other child.
  const ids = doubtful.map(({ idBytes }) => idBytes);
  const now = doubtful.length === 0 ? new Map() : await context.source.readByIds(child.collection, ids);
  const second = await sort(
    doubtful.flatMap((one) => {
      const there = now.get(one.key);
      return there === undefined ? [] : [{ ...one, raw: there.raw }];
    }),
  );
  const scope = { namespace: child.collection, owner, customer, policy };
  for (const one of second.get(false) ?? []) await quarantineRecord(context, scope, one, NOT_RETURNED);
  return [...(first.get(true) ?? []), ...(second.get(true) ?? [])];
}

function childCode(
  hmac: Hmac,
  collection: Namespace | string,
  { key, raw }: Pick<RawRecord, 'key' | 'raw'>,
): Uint8Array {
  return hmac(['child', collection, key, hash('sha256', raw, 'hex')].join('\u0000'));
}

function fileCode(hmac: Hmac, line: AttachmentLine): Uint8Array {
  const told = Object.fromEntries(
    FILE_FIELDS.flatMap((field) => (field in line ? [[field, line[field] ?? null]] : [])),
  );
  return hmac(['file', canonicalJson(told)].join('\u0000'));
}
