/** A written archive whose records have children of two collections and attachments of several sizes. */
import { randomBytes } from 'node:crypto';
import { serialize } from 'bson';
import { ArchiveWriter } from '../../src/archive/writer.ts';
import { chunksOf, DESCRIPTION, newKey, newSigner, recordOf, type TestArchive, TOTALS } from './archive-samples.ts';

const MIB = 1024 * 1024;
const FILES = [randomBytes(1_000), randomBytes(20 * MIB), Buffer.alloc(0)];

export interface UnitFile {
  readonly archive: TestArchive;
  readonly roots: readonly Uint8Array[];
  readonly comments: readonly Uint8Array[];
  readonly votes: readonly Uint8Array[];
  readonly files: readonly Buffer[];
}

export async function unitFile(options: { readonly broken?: AsyncIterable<Uint8Array> } = {}): Promise<UnitFile> {
  const key = newKey();
  const signer = newSigner();
  const chunks: Uint8Array[] = [];
  const writer = new ArchiveWriter({
    ...{ description: DESCRIPTION, key, publicKeys: signer.publicKeys, sign: signer.sign },
    onBytes: async (chunk) => void chunks.push(chunk),
  });
  const roots: Uint8Array[] = [];
  const comments: Uint8Array[] = [];
  const votes: Uint8Array[] = [];
  for (let n = 0; n < 40; n++) {
    const root = serialize({ _id: n, ticket: 'x'.repeat(200) });
    roots.push(root);
    const { ordinal } = await writer.add(recordOf(root));
    for (let i = 0; i < 60; i++) {
      const raw = child('comment', n, i);
      comments.push(raw);
      await writer.addChild('support.comments', recordOf(raw), ordinal);
    }
    if (n % 2 === 0) {
      const raw = child('vote', n, 0);
      votes.push(raw);
      await writer.addChild('support.votes', recordOf(raw), ordinal);
    }
    const file = FILES[n];
    if (file !== undefined) {
      const about = serialize({ contentType: 'video/mp4' });
      const facts = { kind: 's3', store: 'videos', bucket: 'b', key: `k/${n}`, version: `v${n}`, about } as const;
      await writer.addAttachment(facts, options.broken ?? chunksOf(file), ordinal);
    }
  }
  const written = await writer.finish(TOTALS);
  const archive = { file: Buffer.concat(chunks), written, key, signer, description: DESCRIPTION };
  return { archive, roots, comments, votes, files: FILES };
}

/** About 1 kB. */
export function child(kind: string, root: number, n: number): Uint8Array {
  return serialize({ _id: `${kind}-${root}-${n}`, root, text: randomBytes(350).toString('hex') });
}
