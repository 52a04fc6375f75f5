/** What the judge has seen of children and files: where they are, what archives hold of them, and who looked for them. */

import { filesNamed, type NamedFile, nameOf, policyOfChildren } from './family-facts.ts';
import { type Known, type KnownArchive, type KnownFile, type KnownRecord, recordKey } from './known.ts';
import type { FamilyFacts, Instant, KeptFile, PolicyFacts, SourceRecord } from './observations.ts';
import type { OpenedAttachment } from './open-archive.ts';
import type { RecordFacts } from './record-facts.ts';
import { readRecord } from './record-facts.ts';

/** Moraine removed it from where it was. */
export interface UnitDeletion {
  readonly bytes: Uint8Array;
  readonly at: Instant;
  /** Record key of its root, and what that said of itself when it went. */
  readonly root: string;
  readonly facts: RecordFacts;
  /** Null: without an archive. */
  readonly archive: KnownArchive | null;
  readonly attempt: string | null;
}

/** A child of one collection. */
export interface KnownChild {
  readonly key: string;
  readonly namespace: string;
  readonly id: string;
  bytes: Uint8Array | null;
  putBy: 'application' | 'moraine';
  putAt: Instant;
  putStep: number;
  /** It has said once that it is of another owner or customer than its root. */
  wasEverForeign: boolean;
  deletedBy: UnitDeletion | null;
}

/** A place where a file is, or was. */
export interface KnownPlace {
  /** Every content that it has had, by version. */
  readonly contents: Map<string | null, Uint8Array[]>;
  /** By version, oldest first. */
  readonly there: Map<string | null, Uint8Array>;
  isHidden: boolean;
  /** When the application put, hid or removed it last. */
  changedAt: Instant;
  /** Records that have ever named it. */
  readonly namedBy: Set<string>;
  deletedBy: (UnitDeletion & { readonly version: string | null }) | null;
}

export interface KeptUnit {
  readonly file: KnownFile;
  readonly bytes: Uint8Array;
  /** Record key. */
  readonly root: string;
}

/** Of one child collection: somebody asked for children by the name of their root, and got an answer. */
interface Look {
  readonly step: number;
  readonly at: Instant;
}

export class Families {
  readonly children = new Map<string, KnownChild>();
  readonly places = new Map<string, KnownPlace>();
  /** Copies in archives of their roots, by the child's key. */
  readonly filesOfChild = new Map<string, KeptUnit[]>();
  readonly filesOfPlace = new Map<string, (KeptUnit & { readonly attachment: OpenedAttachment })[]>();
  /** Children that went under an archive, by its id and their key. */
  readonly deletions = new Map<string, Map<string, UnitDeletion>>();
  /** Children that the application removed while the archive that holds them was verified. */
  readonly removedByApplication = new Map<string, Set<string>>();
  /** Record keys by collection of children and what they name the record by. */
  readonly #roots = new Map<string, string>();
  readonly #looks = new Map<string, Look[]>();
  /** When the application put a record back that Moraine had deleted. */
  readonly backAt = new Map<string, Instant>();
  /** When an attempt was first named by its archive. */
  readonly begunAt = new Map<string, Instant>();
  /** Records of which a child has said once that it is of another owner or customer. */
  readonly hadForeign = new Set<string>();
  /** Children that were once put into quarantine: whoever settled that was told of them. */
  readonly reported = new Set<string>();
  /** Records that have once named a file that was not there. */
  readonly everMissing = new Set<string>();

  child({ namespace, id }: SourceRecord): KnownChild {
    const key = recordKey(namespace, id);
    let child = this.children.get(key);
    if (child === undefined) {
      child = {
        ...{ key, namespace, id, bytes: null, putBy: 'application', putAt: Number.NEGATIVE_INFINITY, putStep: 0 },
        ...{ wasEverForeign: false, deletedBy: null },
      };
      this.children.set(key, child);
    }
    return child;
  }

  place(of: Pick<KeptFile, 'kind' | 'bucket' | 'key'>): KnownPlace {
    const key = placeKey(of);
    let place = this.places.get(key);
    if (place === undefined) {
      place = {
        contents: new Map(),
        there: new Map(),
        isHidden: false,
        namedBy: new Set(),
        deletedBy: null,
        changedAt: Number.NEGATIVE_INFINITY,
      };
      this.places.set(key, place);
    }
    return place;
  }

  /** The record that a child names. */
  rootOf(known: Known, namespace: string, bytes: Uint8Array): KnownRecord | null {
    const key = this.#roots.get(rootName(namespace, nameOfRoot(bytes)));
    return key === undefined ? null : (known.records.get(key) ?? null);
  }

  /** Of a child by its key, as it was last. */
  rootOfKey(known: Known, key: string): KnownRecord | null {
    const deletion = this.children.get(key)?.deletedBy;
    return deletion == null ? null : (known.records.get(deletion.root) ?? null);
  }

  addLook(collection: string, names: readonly string[], look: Look): void {
    for (const name of names) {
      const key = rootName(collection, name);
      this.#looks.set(key, [...(this.#looks.get(key) ?? []), look]);
    }
  }

  /** The last look for children of this root in this time; null: there was none. */
  lastLook(child: KnownChild, from: Instant, to: Instant): Look | null {
    const looks = this.#looks.get(rootName(child.namespace, nameOfRoot(child.bytes ?? new Uint8Array()))) ?? [];
    return looks.findLast(({ at }) => at >= from && at <= to) ?? null;
  }

  /** A record of a policy with families was put: what names it, and what it names. */
  noteRecord(family: FamilyFacts, { key, bytes }: KnownRecord): void {
    if (bytes === null) return;
    const { children } = family;
    const name = children === undefined ? null : nameOf(children.parent, bytes);
    if (children !== undefined && name !== null) this.#roots.set(rootName(children.collection, name), key);
    for (const named of filesNamed(family, bytes)) {
      this.place(named).namedBy.add(key);
      if (!this.isThere(named)) this.everMissing.add(key);
    }
  }

  callForeign(child: KnownChild, root: KnownRecord): void {
    child.wasEverForeign = true;
    this.hadForeign.add(root.key);
  }

  /** Is there what a record names? */
  isThere({ version, ...of }: NamedFile): boolean {
    const place = this.place(of);
    return version === null ? place.there.size > 0 && !place.isHidden : place.there.has(version);
  }

  deletionsOf(archive: string): Map<string, UnitDeletion> {
    const known = this.deletions.get(archive) ?? new Map<string, UnitDeletion>();
    this.deletions.set(archive, known);
    return known;
  }
}

export function placeKey({ kind, bucket, key }: Pick<KeptFile, 'kind' | 'bucket' | 'key'>): string {
  return `${kind}\0${bucket}\0${key}`;
}

export function isChildCollection({ facts }: Known, namespace: string): boolean {
  return policyOfChildren(facts.policies, namespace) !== null;
}

/** What hangs on the records of a collection; null: nothing does. */
export function familyOf({ facts }: Known, namespace: string): FamilyFacts | null {
  return facts.policies.find((policy: PolicyFacts) => policy.namespace === namespace)?.family ?? null;
}

/** Does it say of itself that it is of another owner or customer than its root? */
export function isForeign(
  bytes: Uint8Array,
  root: { readonly owner: string | null; readonly customer: string | null },
) {
  const { owner, customer } = readRecord(bytes);
  return owner !== root.owner || customer !== root.customer;
}

function nameOfRoot(child: Uint8Array): string | null {
  return child.length === 0 ? null : nameOf('of', child);
}

function rootName(collection: string, name: string | null): string {
  return `${collection}\0${name ?? ''}`;
}
