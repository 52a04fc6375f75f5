/** Attachments in memory, for tests of the lifecycle. */
import { BSON } from 'bson';
import { MoraineError } from '../../src/errors.ts';
import type { AttachedFile, AttachmentsPort, FoundAttachment } from '../../src/source/port.ts';

const MIB = 1024 * 1024;

/** Objects by version in memory; a record's `videos` names them. May say that a file is larger than it is. */
export class MemoryFiles implements AttachmentsPort {
  readonly objects = new Map<string, Buffer>();
  saidBytes: number | null = null;
  /** Called for each, right before it is read or deleted. */
  beforeRead: (key: string) => void = () => undefined;
  removed: string[] = [];
  onRemove: (key: string) => void = () => undefined;

  async find(_: unknown, raw: Uint8Array) {
    const found: FoundAttachment[] = [];
    for (const key of BSON.deserialize(raw)['videos'] ?? []) {
      const bytes = this.objects.get(key);
      if (bytes === undefined) return { problem: 'attachment-missing' as const };
      const place = { kind: 's3', store: 'videos', bucket: 'b', key, version: 'v1' } as const;
      found.push({
        ...place,
        stamp: String(bytes.length),
        bytes: this.saidBytes ?? bytes.length,
        exclusive: !key.startsWith('shared'),
        facts: { ...place, about: BSON.serialize({}) },
      });
    }
    return { found };
  }
  async *read({ key }: FoundAttachment) {
    this.beforeRead(key);
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw new MoraineError('ATTACHMENT_CHANGED', 'It is gone.');
    for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
  }
  async isSame({ key, stamp }: AttachedFile) {
    return String(this.objects.get(key)?.length) === stamp;
  }
  async remove({ key }: AttachedFile, warrant: { assertGood(act: 'delete'): void }) {
    warrant.assertGood('delete');
    this.onRemove(key);
    this.objects.delete(key);
    this.removed.push(key);
    return 'deleted' as const;
  }
  async putBack() {
    return 'inserted' as const;
  }
  async inspect() {
    return [];
  }
}
