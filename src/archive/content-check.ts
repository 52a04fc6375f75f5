/** What only the archive key can show: that every member opens as what it stands for, and that index and records agree. */
import { hash } from 'node:crypto';
import type { StoredMember } from './container.ts';
import { corrupt } from './corrupt.ts';
import { splitDocuments } from './documents.ts';
import { decodeIndexEntry, type IndexEntry, idBytesOf } from './index-pages.ts';
import type { Manifest } from './manifest.ts';
import { MANIFEST_NAME } from './member-names.ts';
import { MerkleTree } from './merkle.ts';
import { assertContext, type MemberContext, openSealed, type SealKey } from './seal.ts';

interface OpenedMember {
  readonly name: string;
  readonly plainBytes: number;
  readonly records: number;
}

/**
 * Takes the members in file order. Holds the places of records until their index page comes; the writer sends a page as
 * soon as it is full, so that is at most one page and one segment of them.
 */
export class ContentCheck {
  readonly #key: SealKey;
  readonly #merkle = new MerkleTree();
  readonly #contexts: { readonly name: string; readonly context: MemberContext }[] = [];
  readonly #opened: OpenedMember[] = [];
  #failure: { readonly error: unknown } | null = null;
  #unindexed: IndexEntry[] = [];
  #ordinal = 0;
  #segment = 0;

  constructor(key: SealKey) {
    this.#key = key;
  }

  /**
   * Opens a segment or index page and compares it with what came before; ignores other members. What is wrong is kept
   * for `assertFits`: a member that was swapped or damaged shows up here first in the index, and only the manifest can
   * say which member it was.
   */
  async see(member: StoredMember): Promise<void> {
    const isSegment = member.name.startsWith('segments/');
    if (this.#failure !== null || (!isSegment && !member.name.startsWith('index/'))) return;
    try {
      await this.#open(member, isSegment);
    } catch (error) {
      this.#failure = { error };
    }
  }

  /** Throws ARCHIVE_CORRUPT where what was seen is wrong in itself, or not what the manifest says. */
  assertFits(manifest: Manifest): void {
    const { installation, owner, customer, archive } = manifest;
    if (this.#key.keyName !== manifest.keyName) {
      throw corrupt(MANIFEST_NAME, `the archive was sealed with the key ${manifest.keyName}, not ${this.#key.keyName}`);
    }
    for (const { name, context } of this.#contexts) {
      assertContext(context, { installation, owner, customer, archive, member: name });
    }
    const listed = new Map(manifest.members.map((member) => [member.name, member]));
    for (const opened of this.#opened) {
      const { plainBytes, records } = listed.get(opened.name) ?? { plainBytes: -1, records: -1 };
      if (opened.plainBytes !== plainBytes || opened.records !== records) {
        throw corrupt(opened.name, `it holds ${opened.records} documents, where the manifest says ${records}`);
      }
    }
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#unindexed.length > 0) throw corrupt('index', `${this.#unindexed.length} records are not in it`);
    if (this.#merkle.root() !== manifest.merkleRoot) {
      throw corrupt(MANIFEST_NAME, 'its Merkle root is not that of the records');
    }
  }

  async #open(member: StoredMember, isSegment: boolean): Promise<void> {
    const { plain, context } = await openSealed(member.data, member.name, this.#key);
    this.#contexts.push({ name: member.name, context });
    const records = isSegment ? this.#seeSegment(member.name, plain) : this.#seePage(member.name, plain);
    this.#opened.push({ name: member.name, plainBytes: plain.byteLength, records });
  }

  #seeSegment(name: string, plain: Uint8Array): number {
    const before = this.#ordinal;
    for (const raw of documents(name, plain)) {
      const sha256 = hash('sha256', raw, 'buffer');
      this.#merkle.add(sha256);
      this.#unindexed.push({
        idBytes: parse(name, () => idBytesOf(raw)),
        ordinal: this.#ordinal,
        segment: this.#segment,
        offset: raw.byteOffset - plain.byteOffset,
        length: raw.byteLength,
        sha256,
      });
      this.#ordinal += 1;
    }
    this.#segment += 1;
    return this.#ordinal - before;
  }

  #seePage(name: string, plain: Uint8Array): number {
    let seen = 0;
    for (const bytes of documents(name, plain)) {
      const entry = parse(name, () => decodeIndexEntry(bytes));
      const record = this.#unindexed[seen];
      if (record === undefined || !isSameEntry(entry, record)) {
        throw corrupt(name, `its entry for record ${entry.ordinal} does not fit the record`);
      }
      seen += 1;
    }
    this.#unindexed = this.#unindexed.slice(seen);
    return seen;
  }
}

function* documents(name: string, plain: Uint8Array): Generator<Uint8Array> {
  const split = splitDocuments(plain);
  for (;;) {
    const { value, done } = parse(name, () => split.next());
    if (done === true) return;
    yield value;
  }
}

function parse<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw corrupt(name, 'what was sealed is not the BSON that belongs there', { cause });
  }
}

function isSameEntry(a: IndexEntry, b: IndexEntry): boolean {
  return (
    a.ordinal === b.ordinal &&
    a.segment === b.segment &&
    a.offset === b.offset &&
    a.length === b.length &&
    Buffer.compare(a.sha256, b.sha256) === 0 &&
    Buffer.compare(a.idBytes, b.idBytes) === 0
  );
}
