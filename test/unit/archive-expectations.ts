/** Questions that the archive tests ask again and again. */
import { inspectArchive } from '../../src/archive/inspect.ts';
import { readRecords } from '../../src/archive/reader.ts';
import { chats, chunksOf, type TestArchive, writeSample } from './archive-samples.ts';

/** An archive of several segments and one index page. */
export async function chatFile(): Promise<TestArchive> {
  return await writeSample(chats(4_000, 900));
}

/** Both passes over a file, as a restore makes them; the records of it, copied. */
export async function restore(
  archive: Pick<TestArchive, 'key' | 'signer' | 'description'>,
  file: Uint8Array,
): Promise<Buffer[]> {
  const { key, signer, description } = archive;
  const verified = await inspectArchive(chunksOf(file), { verify: signer.verify, expected: description });
  const records: Buffer[] = [];
  for await (const record of readRecords(chunksOf(file), verified, key)) {
    if (record.ordinal !== records.length) throw new Error(`record ${record.ordinal} came as number ${records.length}`);
    records.push(Buffer.from(record.raw));
  }
  return records;
}

/** The error of {@link inspectArchive} without a key, and with one; null where it finds nothing. */
export async function findings(
  archive: Pick<TestArchive, 'key' | 'signer' | 'description'>,
  file: Uint8Array,
): Promise<{ withoutKey: unknown; withKey: unknown }> {
  const options = { verify: archive.signer.verify, expected: archive.description };
  const attempt = async (more: object) =>
    await inspectArchive(chunksOf(file), { ...options, ...more }).then(
      () => null,
      (error: unknown) => error,
    );
  return { withoutKey: await attempt({}), withKey: await attempt({ key: archive.key }) };
}
