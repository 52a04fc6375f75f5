/**
 * Find: which archives hold what somebody looks for, from the ledger alone: no vault is asked and no key is needed.
 *
 * An answer is `holds` where the ledger knows it, and `may hold` where it cannot be ruled out: only some of the archive's
 * records lie in the dates that were asked for, a facet was not declared when it was sealed or has more values than are
 * kept, or a record was found by a keyed code that others may share. What is not listed does not hold it.
 */
import { facetCode } from '../archive/facets.ts';
import type { ArchiveId, CustomerId, Namespace, OwnerId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import { findArchives } from '../ledger/archives.ts';
import { facetPages } from '../ledger/facet-codes.ts';
import type { Filter } from '../ledger/store.ts';
import type { ChildShape } from '../source/port.ts';
import type { Context } from './context.ts';
import { segmentsHolding } from './locate-record.ts';

export interface Selection {
  /** Only these; null: any. */
  readonly archives: readonly ArchiveId[] | null;
  readonly owner: OwnerId | null;
  readonly customer: CustomerId | null;
  readonly namespace: Namespace | null;
  /** Records whose trigger is at or after, and before. */
  readonly from: Date | null;
  readonly to: Date | null;
  /** Any of the values, as they are compared. */
  readonly facet: { readonly name: string; readonly values: readonly string[] } | null;
  /** `namespace` is then that of the roots. `rule`: it is one of these children. */
  readonly record: { readonly candidates: readonly Uint8Array[]; readonly rule: ChildShape | null } | null;
}

export const EVERYTHING: Selection = {
  archives: null,
  owner: null,
  customer: null,
  namespace: null,
  from: null,
  to: null,
  facet: null,
  record: null,
};

export interface Found {
  readonly archive: ArchiveDocument;
  readonly isCertain: boolean;
  /** Why it is not. */
  readonly doubts: readonly string[];
  /** Where a record is asked for: the segments of roots in which it, or its root, lies. */
  readonly segments: readonly number[];
}

/** In these something of the archive is in a vault, or on its way there or out of it. */
const KEPT = ['storing', 'stored', 'verified', 'cleared', 'purging', 'quarantined'];

/** In the order of their ids, one at a time; `after` goes on behind that one. */
export async function* findHolding(
  context: Context,
  selection: Selection,
  after: ArchiveId | null = null,
): AsyncGenerator<Found> {
  const look = await Look.at(context, selection);
  for await (const archive of findArchives(context.store, filterOf(selection, after), { sort: { _id: 1 } })) {
    const found = await look.found(archive);
    if (found !== null) yield found;
  }
}

function filterOf({ archives, owner, customer, namespace, from, to }: Selection, after: ArchiveId | null): Filter {
  return {
    state: { $in: KEPT },
    ...(owner === null ? {} : { owner }),
    ...(customer === null ? {} : { customer }),
    ...(namespace === null ? {} : { namespace }),
    ...(from === null ? {} : { 'stored.triggerTo': { $gte: from } }),
    ...(to === null ? {} : { 'stored.triggerFrom': { $lt: to } }),
    ...(archives === null && after === null
      ? {}
      : { _id: { ...(archives === null ? {} : { $in: archives }), ...(after === null ? {} : { $gt: after }) } }),
  };
}

class Look {
  readonly #context: Context;
  readonly #selection: Selection;
  readonly #keys: readonly string[];
  /** Codes of the facet's values, by owner: each has a key of its own. */
  readonly #codes = new Map<OwnerId, readonly string[]>();

  private constructor(context: Context, selection: Selection) {
    this.#context = context;
    this.#selection = selection;
    this.#keys = (selection.record?.candidates ?? []).map((idBytes) => context.source.keyOf(idBytes));
  }

  static async at(context: Context, selection: Selection): Promise<Look> {
    return new Look(context, selection);
  }

  async found(archive: ArchiveDocument): Promise<Found | null> {
    const doubts: string[] = [];
    let segments: readonly number[] = [];
    const { record, facet } = this.#selection;
    if (record !== null) {
      const place = await segmentsHolding(this.#context, archive, record.rule, this.#keys);
      if (place === null) return null;
      segments = place;
      if (archive.rosterShrunk) doubts.push('found by a keyed code of 64 bits, which another record may share');
    }
    if (facet !== null) {
      const answer = await this.#facet(archive, facet);
      if (answer === null) return null;
      if (answer !== '') doubts.push(answer);
    }
    const dates = this.#dates(archive);
    if (dates !== null) doubts.push(dates);
    return { archive, isCertain: doubts.length === 0, doubts, segments };
  }

  /** Null: it does not hold a value. Empty: it does. Else why it may. */
  async #facet(archive: ArchiveDocument, { name, values }: NonNullable<Selection['facet']>): Promise<string | null> {
    if (!archive.facets?.includes(name)) return `facet ${name} was not declared when it was sealed`;
    const pages = facetPages(this.#context.store);
    const of = { archive: archive._id };
    if ((await pages.count({ ...of, codes: { $in: await this.#codesOf(archive.owner, name, values) } })) > 0) return '';
    if ((await pages.count({ ...of, coversEverything: true })) > 0) return 'it has more values of facets than are kept';
    return (await pages.count(of)) > 0 ? null : 'no values of its facets are kept';
  }

  async #codesOf(owner: OwnerId, name: string, values: readonly string[]): Promise<readonly string[]> {
    const known = this.#codes.get(owner);
    if (known !== undefined) return known;
    const hmac = await this.#context.keys.hmacFor(owner);
    const codes = values.map((value) => facetCode(hmac, name, value));
    this.#codes.set(owner, codes);
    return codes;
  }

  #dates({ stored }: ArchiveDocument): string | null {
    const { from, to, record, facet } = this.#selection;
    if (from === null && to === null) return null;
    if (stored === null) return 'its dates are not known before it is sealed';
    const isWithin = (from === null || stored.triggerFrom >= from) && (to === null || stored.triggerTo < to);
    if (isWithin) return null;
    return record === null && facet === null
      ? 'some of its records are of other dates'
      : 'the record that was found may be of another date';
  }
}
