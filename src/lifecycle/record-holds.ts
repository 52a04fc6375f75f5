/** Holds as a scan needs them: which keep one record, told from its own bytes. Nothing is asked where there are none. */
import { facetCode } from '../archive/facets.ts';
import type { Namespace } from '../ids.ts';
import { childName } from '../ledger/child-index.ts';
import { type HoldDocument, holdName, holdsInForce, isWhole, namesParty, reachesTriggers } from '../ledger/holds.ts';
import type { HoldScope } from '../policy/decide.ts';
import type { Partition, RawRecord, RecordFacts } from '../source/port.ts';
import type { Context } from './context.ts';

export interface PartitionHolds {
  /** Of all that name the partition, as they were when they were read. */
  readonly ids: readonly string[];
  /** Those that cover every record of the partition. */
  readonly whole: readonly HoldDocument[];
  /** Those that may cover some. */
  readonly narrow: readonly HoldDocument[];
  isHeld(record: RawRecord, facts: RecordFacts): boolean;
  /** Whether a child is named by its key: it keeps the record that it hangs on, whatever else the hold names. */
  holdsChild(collection: Namespace, child: Pick<RawRecord, 'key'>): boolean;
  /** For `decide`: the same, with names. */
  scopesFor(record: RawRecord): readonly HoldScope[];
}

export async function partitionHolds(context: Context, partition: Partition): Promise<PartitionHolds> {
  const { dataset, owner, customer } = partition;
  const party = { owner, customer, namespace: dataset.namespace };
  const naming = (await holdsInForce(context.store)).filter((hold) => namesParty(hold, party));
  const whole = naming.filter(isWhole);
  const narrow = naming.filter((hold) => !isWhole(hold));
  const hmac = narrow.length > 0 ? await context.keys.hmacFor(owner) : noKey;
  const covers = (hold: HoldDocument, record: RawRecord, trigger: number | null) =>
    isWhole(hold) ||
    (reachesTriggers(hold, trigger ?? Number.NaN, trigger ?? Number.NaN) &&
      hasKey(hold, record, hmac) &&
      hasFacet(context, hold, partition, record, hmac));
  return {
    ids: naming.map(({ _id }) => _id),
    whole,
    narrow,
    isHeld: (record, { trigger }) => naming.some((hold) => covers(hold, record, trigger)),
    holdsChild: (collection, { key }) => {
      const ofChildren = narrow.filter((hold) => hold.collection === collection && hold.recordKeys != null);
      if (ofChildren.length === 0) return false;
      const code = keyCode(hmac, childName(collection, key));
      return ofChildren.some(({ recordKeys }) => recordKeys?.includes(code));
    },
    scopesFor: (record) =>
      naming.map((hold) => ({ id: holdName(hold), covers: ({ trigger }) => covers(hold, record, trigger) })),
  };
}

type Hmac = (data: string | Uint8Array) => Uint8Array;

/** A record that is held for a child is told by its children: see `holdsChild`. */
function hasKey({ recordKeys, collection }: HoldDocument, record: RawRecord, hmac: Hmac): boolean {
  if (recordKeys == null) return true;
  return collection == null && recordKeys.includes(keyCode(hmac, record.key));
}

/** A record of a dataset whose policy does not declare the facet may carry the value in any field: it is covered. */
function hasFacet(
  { source }: Context,
  { facet }: HoldDocument,
  { dataset }: Partition,
  record: RawRecord,
  hmac: Hmac,
): boolean {
  if (facet == null || !Object.hasOwn(dataset.facets, facet.name)) return true;
  const values = source.facets(dataset, record.raw)[facet.name] ?? [];
  return values.some((value) => facet.codes.includes(facetCode(hmac, facet.name, value)));
}

/** The code of a record's key in a hold, as the record index has it. */
export function keyCode(hmac: Hmac, key: string): string {
  const mac = hmac(key);
  return Buffer.from(mac.buffer, mac.byteOffset, mac.byteLength).toString('base64url');
}

function noKey(): never {
  throw new Error('No hold needs a key here.');
}
