/**
 * The members of an archive file on their way out: several in the making at once, leaving in the order in which they were
 * given, one `onBytes` at a time. After the first failure nothing more leaves.
 */
import { hash } from 'node:crypto';
import { HEADER_BYTES, packMember } from './container.ts';
import type { Member } from './manifest.ts';
import { TreeHasher } from './tree-hash.ts';

/** What is known of a member before its bytes are made. */
export type MemberFacts = Omit<Member, 'offset' | 'length' | 'sha256'>;

export class MemberPipeline {
  readonly #onBytes: (chunk: Uint8Array) => Promise<void>;
  readonly #treeHasher = new TreeHasher();
  readonly #members: Member[] = [];
  /** Emissions that have not ended, oldest first. Each starts when the one before it has ended. */
  readonly #emissions: Promise<void>[] = [];
  #lastEmission: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(onBytes: (chunk: Uint8Array) => Promise<void>) {
    this.#onBytes = onBytes;
  }

  /** Those that have left, in file order. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** Of the file so far. */
  get bytes(): number {
    return this.#treeHasher.bytes;
  }

  treeHash(): string {
    return this.#treeHasher.digest();
  }

  assertSound(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Waits until fewer than `depth` members are in the making. */
  async slot(depth: number): Promise<void> {
    while (this.#emissions.length >= depth) await this.#emissions[0];
  }

  /** Resolves when everything that was given has left. */
  async flushed(): Promise<void> {
    await this.#lastEmission;
  }

  /** Nothing more leaves; when this resolves no `onBytes` is under way. */
  async abandon(reason: unknown): Promise<void> {
    this.#failure ??= { error: reason };
    await this.#lastEmission.catch(() => undefined);
  }

  emit(member: MemberFacts, data: Promise<Uint8Array>): void {
    const before = this.#lastEmission;
    // A later member may fail while an earlier one is still sent; its failure is met when its turn comes.
    data.catch(() => undefined);
    const emission = before
      .then(async () => {
        const bytes = await data;
        const pieces = await packMember(member.name, bytes);
        if (this.#failure !== null) throw this.#failure.error;
        await this.#emitNow(member, bytes, pieces);
      })
      .catch((error: unknown) => {
        this.#failure ??= { error };
        throw error;
      })
      .finally(() => {
        this.#emissions.shift();
      });
    // Whoever waits for a slot or for the end gets the error; so does every later call.
    emission.catch(() => undefined);
    this.#emissions.push(emission);
    this.#lastEmission = emission;
  }

  /** Bytes of the file that are no member's. */
  async send(chunk: Uint8Array): Promise<void> {
    this.#treeHasher.update(chunk);
    await this.#onBytes(chunk);
  }

  /** `pieces`: the member as it stands in the file. */
  async #emitNow(member: MemberFacts, data: Uint8Array, pieces: readonly Uint8Array[]): Promise<void> {
    this.#members.push({
      ...member,
      offset: this.#treeHasher.bytes + HEADER_BYTES,
      length: data.byteLength,
      sha256: hash('sha256', data, 'hex'),
    });
    await this.send(Buffer.concat(pieces));
  }
}

/** Of a member that stands in the clear. */
export function plainFacts(name: string, kind: Member['kind'], data: Uint8Array): MemberFacts {
  return { name, kind, plainBytes: data.byteLength, records: 0, firstOrdinal: 0, segment: null };
}
