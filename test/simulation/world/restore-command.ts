/** `retrieve` and `restore` as one person uses them: asks the vault, looks again until the file is there, and opens it. */
import { databaseTarget } from '../../../src/cli/restore-database.ts';
import { isMoraineError } from '../../../src/errors.ts';
import { unwrapArchiveKey } from '../../../src/keys/administrator.ts';
import { collectionOfArchive } from '../../../src/ledger/archive-document.ts';
import { findArchives } from '../../../src/ledger/archives.ts';
import type { Context } from '../../../src/lifecycle/context.ts';
import { type RestoreTarget, restoreArchive } from '../../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../../src/lifecycle/retrieve.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import type { KeptFile, SourceRecord } from '../judge/observations.ts';
import type { Installed } from './context.ts';
import { fileOfFacts } from './file-server.ts';
import type { Act } from './scenario.ts';
import { DAY_MS } from './scenario.ts';
import { idText } from './servers.ts';

/** How long somebody waits for a retrieval before giving up: the slowest tier and more. */
const PATIENCE_MS = 20 * 3_600_000;
const LOOK_EVERY_MS = 2 * 3_600_000;

export async function retrieveAndRestore(
  { pick, intoSource, exemptDays }: Extract<Act, { what: 'retrieve and restore' }>,
  process: SimulatedProcess,
  context: Context,
  { servers, keysOf }: Pick<Installed, 'servers' | 'keysOf'>,
): Promise<void> {
  const candidates = [];
  for await (const archive of findArchives(context.store, { state: 'cleared' }, { sort: { _id: 1 } }))
    candidates.push(archive);
  const archive = candidates[pick % Math.max(1, candidates.length)];
  if (archive === undefined) return;
  const keys = keysOf.get(archive.owner);
  if (keys === undefined) return;
  const { _id: retrieval } = await requestRetrieval(context, archive._id, pick % 2 === 0 ? 'standard' : 'bulk');
  await servers.tell({ what: 'retrieval open', by: process.name, archive: archive._id, retrieval });
  const exemptUntil = new Date(context.clock.now().getTime() + PATIENCE_MS + exemptDays * DAY_MS);
  const written: SourceRecord[] = [];
  const children: SourceRecord[] = [];
  const files: KeptFile[] = [];
  const record = (bytes: Uint8Array): SourceRecord => ({
    namespace: collectionOfArchive(archive),
    id: idText(bytes),
    bytes,
  });
  const folder: RestoreTarget = {
    write: async (records) => {
      written.push(...records.map(record));
      return { inserted: records.length, existing: 0 };
    },
    unit: {
      write: async (collection, documents) => {
        children.push(...documents.map((bytes) => ({ namespace: collection, id: idText(bytes), bytes })));
        return { inserted: documents.length, existing: 0 };
      },
      attachment: async ({ facts }, parts) => {
        const pieces: Uint8Array[] = [];
        for await (const part of parts) pieces.push(Uint8Array.from(part));
        files.push(fileOfFacts(facts, Buffer.concat(pieces)));
        return 'inserted';
      },
    },
    finish: async () => undefined,
    discard: async () => {
      for (const list of [written, children, files]) list.length = 0;
    },
  };
  const tell = () =>
    servers.tell({
      what: 'restored',
      by: process.name,
      archive: archive._id,
      records: written,
      children,
      files,
      intoSource,
      exemptUntil: intoSource ? exemptUntil.getTime() : null,
    });
  for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_EVERY_MS) {
    await context.clock.sleep(LOOK_EVERY_MS);
    const target = intoSource
      ? databaseTarget(context, context.source, archive, exemptUntil, { attachments: context.attachments })
      : folder;
    try {
      await restoreArchive(
        context,
        archive._id,
        (wrapped) => unwrapArchiveKey(wrapped, keys.identity, keys.administrators),
        target,
        intoSource ? 'database' : 'files',
      );
      return await tell();
    } catch (error) {
      await target.discard();
      if (!isMoraineError(error, 'RETRIEVAL_NOT_READY')) throw error;
    }
  }
}
