/** The part of an export that comes out of archives: those that are retrieved, opened with an administrator's identity. */
import { errorClass, isMoraineError } from '../errors.ts';
import type { Namespace } from '../ids.ts';
import { type ArchiveDocument, collectionOfArchive } from '../ledger/archive-document.ts';
import { isLiveRetrieval, liveRetrievals } from '../ledger/retrievals.ts';
import { RETRIEVABLE_STATES } from '../ledger/states.ts';
import type { Context } from './context.ts';
import { discarded } from './discarded.ts';
import type { ExportFolder, ExportSink, OpenKey } from './export-customer.ts';
import type { ExportedArchive, ExportFile } from './export-manifest.ts';
import { attachmentLine } from './export-source.ts';
import { type RestoreTarget, restoreArchive } from './restore.ts';
import { isReadable } from './retrieval-output.ts';
import { refreshRetrieval } from './retrieve.ts';

export interface ArchiveExport {
  readonly told: ExportedArchive;
  readonly files: readonly ExportFile[];
}

/** Null for an archive that is destroyed already. One that cannot be read is told with the reason and stops no other. */
export async function exportArchive(
  context: Context,
  archive: ArchiveDocument,
  folder: ExportFolder,
  openKey: OpenKey | null,
): Promise<ArchiveExport | null> {
  if (archive.state === 'purged' || archive.state === 'confirmed') return null;
  const why = await obstacle(context, archive, openKey);
  if (why !== null || openKey === null) return { told: told(archive, why ?? 'no identity', 0, []), files: [] };
  const { sinks, target } = targetOf(archive, folder);
  try {
    const report = await restoreArchive(context, archive._id, openKey, target, 'files');
    const files = await sinks.files();
    return { told: told(archive, 'exported', report.void, files), files };
  } catch (error) {
    const isBusy = isMoraineError(error, 'LEASE_HELD');
    if (!isBusy && errorClass(error) !== 'quarantine') throw error;
    context.log.error({ archive: archive._id }, `It cannot be read: ${String(error)}`);
    const discard = () => folder.discardArchive(archive._id);
    // What is left of an archive that cannot be read must not be taken for it: then the export fails, for both reasons.
    const failed = await discarded(error, discard);
    if (failed !== error) throw failed;
    return { told: told(archive, isBusy ? 'being cleared' : 'damaged', 0, []), files: [] };
  }
}

/** A target that writes the collections of one archive, and the files that hang on its records. */
function targetOf(archive: ArchiveDocument, folder: ExportFolder) {
  const open = new Map<Namespace, ExportSink>();
  const attachments = folder.attachments(archive._id);
  const write = async (namespace: Namespace, records: readonly Uint8Array[]) => {
    const sink = open.get(namespace) ?? (await folder.open({ archive: archive._id, namespace }));
    open.set(namespace, sink);
    await sink.write(records);
    return { inserted: records.length, existing: 0 };
  };
  const target: RestoreTarget = {
    write: (records) => write(collectionOfArchive(archive), records),
    unit: {
      write,
      attachment: async ({ root, facts }, parts) => {
        await attachments.write({ record: root, ...attachmentLine(facts) }, parts);
        return 'inserted';
      },
    },
    finish: async () => undefined,
    // Whoever began the export discards it.
    discard: async () => undefined,
  };
  const files = async () => {
    const all: ExportFile[] = [];
    for (const sink of open.values()) all.push(...(await sink.close()));
    return [...all, ...(await attachments.close())];
  };
  return { target, sinks: { files } };
}

/** What stands in the way of reading the archive, or null. */
async function obstacle(
  context: Context,
  archive: ArchiveDocument,
  openKey: OpenKey | null,
): Promise<ExportedArchive['outcome'] | null> {
  if (archive.state === 'purging') return 'being purged';
  const was = archive.state === 'quarantined' ? archive.quarantinedFrom : archive.state;
  if (!RETRIEVABLE_STATES.some((state) => state === was) || archive.attempt === null)
    return archive.state === 'quarantined' ? 'in quarantine' : 'not sealed';
  const retrieval = await retrievalOf(context, archive);
  if (retrieval !== 'ready') return retrieval;
  if (openKey === null) return 'no identity';
  try {
    (await openKey(await context.keys.readBack(archive.attempt))).forget();
    return null;
  } catch (error) {
    if (isMoraineError(error, 'IDENTITY_WRONG')) return 'other administrator';
    throw error;
  }
}

async function retrievalOf(
  context: Context,
  archive: ArchiveDocument,
): Promise<'ready' | 'not retrieved' | 'retrieval not ready'> {
  let isOnItsWay = false;
  for (const live of await liveRetrievals(context.store, archive._id)) {
    if (live.range !== null) continue;
    const retrieval = await refreshRetrieval(context, live);
    if (isReadable(retrieval)) return 'ready';
    isOnItsWay ||= isLiveRetrieval(retrieval);
  }
  return isOnItsWay ? 'retrieval not ready' : 'not retrieved';
}

function told(
  archive: ArchiveDocument,
  outcome: ExportedArchive['outcome'],
  left: number,
  files: readonly ExportFile[],
): ExportedArchive {
  return {
    archive: archive._id,
    policy: archive.policy,
    policyVersion: archive.policyVersion,
    collection: collectionOfArchive(archive),
    state: archive.state,
    outcome,
    records: archive.stored?.records ?? 0,
    void: left,
    files: files.map(({ path }) => path),
  };
}
