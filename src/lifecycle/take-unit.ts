/** Seals a record with all that hangs on it, and writes down what is needed to clear it: the record first, so that a copy is never without its root. */
import { hash } from 'node:crypto';
import type { ArchiveWriter } from '../archive/writer.ts';
import type { DatasetShape, RawRecord } from '../source/port.ts';
import type { Context } from './context.ts';
import type { RosterWriter } from './roster-writer.ts';
import type { UnitReader, WholeUnit } from './unit-reader.ts';
import type { UnitRoster } from './unit-roster.ts';

export interface UnitWriters {
  readonly writer: ArchiveWriter;
  readonly roster: RosterWriter;
  readonly units: UnitRoster;
  readonly reader: UnitReader;
}

export async function takeUnit(
  context: Context,
  shape: DatasetShape,
  { writer, roster, units, reader }: UnitWriters,
  record: RawRecord,
  prepared: WholeUnit,
): Promise<void> {
  const sha256 = hash('sha256', record.raw, 'buffer');
  const { segment, ordinal: root } = await writer.add({ raw: record.raw, idBytes: record.idBytes, sha256 });
  const page = await roster.add({ id: record.idBytes, sha256, segment }, record.raw.length);
  if (reader.isEmpty) return;
  await units.atPage(page);
  for (const child of shape.children ?? []) {
    const value = child.parent === '_id' ? null : context.source.parentOf(child, record.raw);
    if (value !== null) units.parent(child.collection, { root, value });
  }
  for await (const { child, record: of } of reader.children(record)) {
    const childHash = hash('sha256', of.raw, 'buffer');
    const sealed = { raw: of.raw, idBytes: of.idBytes, sha256: childHash };
    const { ordinal } = await writer.addChild(child.collection, sealed, root);
    await units.child(child.collection, { id: of.idBytes, sha256: childHash, root, ordinal }, of.raw.length);
  }
  for (const found of prepared.attachments) {
    const { facts, ...attachment } = found;
    const { ordinal } = await writer.addAttachment(facts, reader.read(found), root);
    await units.attachment({ ...attachment, root, ordinal });
  }
}
