/** What only the archive key can show: that every member opens as what it stands for, and that index and records agree. */
import { createHash, type Hash, hash } from 'node:crypto';
import { type AttachmentEntry, decodeAttachmentEntry } from './attachment-index.ts';
import type { StoredMember } from './container.ts';
import { corrupt } from './corrupt.ts';
import { splitDocuments } from './documents.ts';
import { decodeIndexEntry, type IndexEntry, idBytesOf } from './index-pages.ts';
import type { Manifest } from './manifest.ts';
import { escapeCollection, MANIFEST_NAME, type MemberPart, partOf } from './member-names.ts';
import { MerkleTree } from './merkle.ts';
import { assertContext, type MemberContext, openSealed, type SealKey } from './seal.ts';

interface OpenedMember {
  readonly name: string;
  readonly plainBytes: number;
  readonly records: number;
}

/** The records of one collection as they were seen. */
interface SeenRun {
  readonly merkle: MerkleTree;
  unindexed: IndexEntry[];
  ordinal: number;
  segment: number;
}

interface SeenAttachment {
  readonly ordinal: number;
  readonly file: Hash;
  bytes: number;
  parts: number;
}

/**
 * Takes the members in file order. Holds the places of records until their index page comes; the writer sends a page as
 * soon as it is full, so that is at most one page and one segment of them for each collection.
 */
export class ContentCheck {
  readonly #key: SealKey;
  readonly #onAttachment: ((entry: AttachmentEntry) => void) | undefined;
  /** By the folder of its segments. */
  readonly #runs = new Map<string, SeenRun>();
  /** The folder that the pages of `index/` itself belong to: the dataset's. Known from the first entry that fits. */
  #rootFolder: string | null = null;
  readonly #attachmentMerkle = new MerkleTree();
  #unindexedAttachments: SeenAttachment[] = [];
  #attachments = 0;
  readonly #contexts: { readonly name: string; readonly context: MemberContext }[] = [];
  readonly #opened: OpenedMember[] = [];
  #failure: { readonly error: unknown } | null = null;

  constructor(key: SealKey, onAttachment?: (entry: AttachmentEntry) => void) {
    this.#key = key;
    this.#onAttachment = onAttachment;
  }

  /**
   * Opens a sealed member and compares it with what came before; ignores other members. What is wrong is kept for
   * `assertFits`: a member that was swapped or damaged shows up here first in the index, and only the manifest can say
   * which member it was.
   */
  async see(member: StoredMember): Promise<void> {
    const part = partOf(member.name);
    if (this.#failure !== null || part === null) return;
    try {
      await this.#open(member, part);
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
    this.#assertRunsFit(manifest);
  }

  #assertRunsFit(manifest: Manifest): void {
    const rootFolder = escapeCollection(manifest.dataset);
    if (this.#rootFolder !== null && this.#rootFolder !== rootFolder) {
      throw corrupt('index', 'its entries are not those of the records');
    }
    const unindexed = [...this.#runs.values()].reduce((sum, run) => sum + run.unindexed.length, 0);
    const left = unindexed + this.#unindexedAttachments.length;
    if (left > 0) throw corrupt('index', `${left} records are not in it`);
    for (const { collection, merkleRoot } of [
      { collection: manifest.dataset, merkleRoot: manifest.merkleRoot },
      ...(manifest.children ?? []),
    ]) {
      const { merkle } = this.#run(escapeCollection(collection));
      if (merkle.root() !== merkleRoot) throw corrupt(MANIFEST_NAME, 'its Merkle root is not that of the records');
    }
    if (manifest.attachments !== undefined && this.#attachmentMerkle.root() !== manifest.attachments.merkleRoot) {
      throw corrupt(MANIFEST_NAME, 'its Merkle root is not that of the attachments');
    }
  }

  async #open(member: StoredMember, part: MemberPart): Promise<void> {
    const { plain, context } = await openSealed(member.data, member.name, this.#key);
    this.#contexts.push({ name: member.name, context });
    const records = this.#see(member.name, part, plain);
    this.#opened.push({ name: member.name, plainBytes: plain.byteLength, records });
  }

  #see(name: string, part: MemberPart, plain: Uint8Array): number {
    switch (part.kind) {
      case 'segment':
        return this.#seeSegment(name, this.#run(part.folder), plain);
      case 'index':
        return this.#seePage(name, part.folder, plain);
      case 'attachment':
        return this.#seePart(part.attachment, plain);
      case 'attachmentIndex':
        return this.#seeAttachmentPage(name, plain);
    }
  }

  #run(folder: string): SeenRun {
    const known = this.#runs.get(folder);
    if (known !== undefined) return known;
    const fresh: SeenRun = { merkle: new MerkleTree(), unindexed: [], ordinal: 0, segment: 0 };
    this.#runs.set(folder, fresh);
    return fresh;
  }

  #seeSegment(name: string, run: SeenRun, plain: Uint8Array): number {
    const before = run.ordinal;
    for (const raw of documents(name, plain)) {
      const sha256 = hash('sha256', raw, 'buffer');
      run.merkle.add(sha256);
      run.unindexed.push({
        idBytes: parse(name, () => idBytesOf(raw)),
        ordinal: run.ordinal,
        segment: run.segment,
        offset: raw.byteOffset - plain.byteOffset,
        length: raw.byteLength,
        sha256,
      });
      run.ordinal += 1;
    }
    run.segment += 1;
    return run.ordinal - before;
  }

  #seePage(name: string, folder: string | null, plain: Uint8Array): number {
    const entries = [...documents(name, plain)].map((bytes) => parse(name, () => decodeIndexEntry(bytes)));
    const run = this.#run(folder ?? this.#rootFolderOf(entries[0]));
    for (const [at, entry] of entries.entries()) {
      const record = run.unindexed[at];
      const isChild = entry.root !== undefined;
      if (record === undefined || !isSameEntry(entry, record) || isChild !== (folder !== null)) {
        throw corrupt(name, `its entry for record ${entry.ordinal} does not fit the record`);
      }
    }
    run.unindexed = run.unindexed.slice(entries.length);
    return entries.length;
  }

  /** Which folder the dataset's own segments are in is not known before the manifest; `assertFits` compares. */
  #rootFolderOf(first: IndexEntry | undefined): string {
    const fits = ([, run]: [string, SeenRun]) => {
      const record = run.unindexed[0];
      return first !== undefined && record !== undefined && isSameEntry(first, record);
    };
    this.#rootFolder ??= [...this.#runs].find(fits)?.[0] ?? '';
    return this.#rootFolder;
  }

  #seePart(attachment: number, plain: Uint8Array): number {
    let seen = this.#unindexedAttachments.at(-1);
    if (seen?.ordinal !== attachment) {
      seen = { ordinal: attachment, file: createHash('sha256'), bytes: 0, parts: 0 };
      this.#unindexedAttachments.push(seen);
    }
    seen.file.update(plain);
    seen.bytes += plain.byteLength;
    seen.parts += 1;
    return 0;
  }

  #seeAttachmentPage(name: string, plain: Uint8Array): number {
    let entries = 0;
    for (const bytes of documents(name, plain)) {
      const entry = parse(name, () => decodeAttachmentEntry(bytes));
      const seen = this.#unindexedAttachments.shift();
      const fits =
        seen !== undefined &&
        entry.ordinal === this.#attachments &&
        entry.ordinal === seen.ordinal &&
        entry.bytes === seen.bytes &&
        entry.parts === seen.parts &&
        seen.file.digest().equals(entry.sha256);
      if (!fits) throw corrupt(name, `its entry for attachment ${entry.ordinal} does not fit the attachment`);
      this.#attachmentMerkle.add(entry.sha256);
      this.#onAttachment?.(entry);
      this.#attachments += 1;
      entries += 1;
    }
    return entries;
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
