/**
 * What a retrieval order would take: which archives, or parts of them, how many bytes, and what each tier asks for it.
 * Reads the ledger only. The set is walked in the order of its ids and hashed, never held.
 */
import { createHash } from 'node:crypto';
import { memberRange } from '../archive/reader.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { getOrder } from '../ledger/retrieval-orders.ts';
import { liveRetrievals, type RetrievalDocument } from '../ledger/retrievals.ts';
import type { ByteRange, Tier } from '../vault/port.ts';
import type { Asker } from './asker.ts';
import type { TierOffer } from './choose-tier.ts';
import { type Context, vaultOf } from './context.ts';
import { findHolding, type Selection } from './find.ts';
import { placesOfSegments } from './locate-record.ts';
import { isRetrievable, retrievableFacts } from './retrieve.ts';

/** Amazon Glacier: Expedited is for archives below 250 MB. */
const EXPEDITED_BYTES = 250_000_000;
const TIERS: readonly Tier[] = ['bulk', 'standard', 'expedited'];

/** One archive, or the part of it that holds the segments that are wanted. */
export interface OrderItem {
  readonly archive: ArchiveDocument;
  readonly bytes: number;
  readonly range: ByteRange | null;
  readonly segments: readonly number[];
}

export interface OrderPlan {
  readonly archives: number;
  readonly bytes: number;
  readonly parts: number;
  readonly owners: readonly { readonly owner: OwnerId; readonly administrator: string }[];
  readonly offers: readonly TierOffer[];
  readonly priceSource: string;
  /** Of the exact set. */
  readonly setHash: string;
  /** Left out: a retrieval of them is open already. */
  readonly open: number;
  /** Ids of the first of those. */
  readonly openRetrievals: readonly RetrievalDocument[];
  /** Left out: they cannot be retrieved, not yet or not any more. */
  readonly unavailable: number;
}

const MOST_OPEN_NAMED = 100;

/** Throws RETRIEVAL_NOT_ALLOWED where the asker is no administrator of one of the owners. */
export async function planOrder(context: Context, selection: Selection, asker: Asker): Promise<OrderPlan> {
  const owners = new Map<OwnerId, string>();
  const sums = new Map(TIERS.map((tier) => [tier, { dollars: 0, hours: 0, refusal: null as string | null }]));
  const hash = createHash('sha256');
  const openRetrievals: RetrievalDocument[] = [];
  let [archives, bytes, parts, open, unavailable] = [0, 0, 0, 0, 0];
  let priceSource = '';
  for await (const found of orderItems(context, selection)) {
    const { owner } = found.archive;
    // Before anything is said of it, also of what is open already.
    if (!owners.has(owner)) owners.set(owner, asker.administratorOf(owner));
    if (found.kind === 'unavailable') unavailable += 1;
    if (found.kind === 'open') {
      open += 1;
      if (openRetrievals.length < MOST_OPEN_NAMED) openRetrievals.push(found.retrieval);
    }
    if (found.kind !== 'item') continue;
    const { item } = found;
    hash.update(`${itemKey(item)}\n`);
    archives += 1;
    bytes += item.bytes;
    if (item.range !== null) parts += 1;
    const vault = vaultOf(context, item.archive.vault.key);
    for (const [tier, sum] of sums) {
      const estimate = vault.estimateRetrieval(item.bytes, tier, item.archive.vault);
      sum.dollars += estimate.dollars;
      sum.hours = Math.max(sum.hours, estimate.hours);
      sum.refusal ??= refusalOf(tier, estimate.tier, item);
      priceSource = estimate.priceSource;
    }
  }
  const named = [...owners].map(([owner, administrator]) => ({ owner, administrator }));
  const offers = [...sums].map(([tier, sum]) => ({ tier, ...sum }));
  const setHash = hash.digest('hex');
  return { archives, bytes, parts, owners: named, offers, priceSource, setHash, open, openRetrievals, unavailable };
}

function refusalOf(asked: Tier, given: Tier, { bytes, archive }: OrderItem): string | null {
  if (given !== asked) return `the storage class of vault ${archive.vault.key} has no such tier`;
  const isTooLarge = asked === 'expedited' && archive.vault.backend === 'glacier' && bytes >= EXPEDITED_BYTES;
  return isTooLarge ? 'an archive of 250 MB or more is among them' : null;
}

export function itemKey({ archive, range }: OrderItem): string {
  return range === null ? archive._id : `${archive._id} ${range.start}-${range.end}`;
}

type OrderFound =
  | { readonly kind: 'item'; readonly archive: ArchiveDocument; readonly item: OrderItem }
  | { readonly kind: 'open'; readonly archive: ArchiveDocument; readonly retrieval: RetrievalDocument }
  | { readonly kind: 'unavailable'; readonly archive: ArchiveDocument };

/** Every archive of the selection, with what is to be asked for of it. */
export async function* orderItems(context: Context, selection: Selection): AsyncGenerator<OrderFound> {
  const open = new OpenRetrievals(context);
  for await (const { archive, segments } of findHolding(context, selection)) {
    if (!isRetrievable(archive)) {
      yield { kind: 'unavailable', archive };
      continue;
    }
    const item = await itemOf(context, archive, selection.record === null ? [] : segments);
    const retrieval = await open.covering(item);
    yield retrieval === null ? { kind: 'item', archive, item } : { kind: 'open', archive, retrieval };
  }
}

/** A part where that is enough: records with children or files need all of theirs, which lie elsewhere in the archive. */
async function itemOf(context: Context, archive: ArchiveDocument, segments: readonly number[]): Promise<OrderItem> {
  const stored = retrievableFacts(archive);
  const whole = { archive, bytes: stored.bytes, range: null, segments: [] };
  const hasUnits = (stored.children ?? 0) + (stored.attachments ?? 0) > 0;
  if (segments.length === 0 || hasUnits) return whole;
  const wanted = await placesOfSegments(context, archive, segments);
  if (wanted.length !== segments.length) return whole;
  const from = Math.min(...wanted.map(({ offset }) => offset));
  const to = Math.max(...wanted.map(({ offset, length }) => offset + length));
  const range = memberRange({ offset: from, length: to - from }, stored.bytes);
  const bytes = range.end - range.start;
  return bytes >= stored.bytes ? whole : { archive, bytes, range, segments };
}

class OpenRetrievals {
  readonly #context: Context;
  readonly #isPlacing = new Map<string, boolean>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** A live retrieval that brings all of it back. One of an order that is being placed, or was cut then, brings nothing yet. */
  async covering({ archive, range }: OrderItem): Promise<RetrievalDocument | null> {
    for (const live of await liveRetrievals(this.#context.store, archive._id)) {
      const isEnough =
        live.range === null || (range !== null && live.range.start <= range.start && live.range.end >= range.end);
      if (isEnough && !(await this.#isBeingPlaced(live))) return live;
    }
    return null;
  }

  async #isBeingPlaced({ order }: RetrievalDocument): Promise<boolean> {
    if (order === undefined) return false;
    const known = this.#isPlacing.get(order);
    if (known !== undefined) return known;
    const isPlacing = (await getOrder(this.#context.store, order)).state === 'placing';
    this.#isPlacing.set(order, isPlacing);
    return isPlacing;
  }
}

/** Nothing is left to ask for, and nothing is open: the selection is wrong, or too early, or too late. */
export function assertFound({ archives, open, unavailable }: OrderPlan): void {
  if (archives + open > 0) return;
  const why = unavailable > 0 ? `none of the ${unavailable} archives can be retrieved` : 'no archive holds it';
  throw new MoraineError('ARCHIVE_NOT_RETRIEVABLE', `Nothing can be retrieved: ${why}.`);
}
