/**
 * Everything that the checker looks at, read by itself: the source, the vaults, the ledger and the key store, each as it
 * lies there. It imports nothing of the product.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deserialize } from 'bson';
import type { MongoClient } from 'mongodb';
import { z } from 'zod';
import type { Dataset } from '../datasets.ts';
import type { JournalEntry } from '../journal.ts';
import { type Ledger, readLedger } from './ledger.ts';
import { type OpenedArchive, openArchive } from './open-archive.ts';
import { readVaults, type VaultFile } from './vault-files.ts';
import type { Witnessed } from './witness.ts';

export interface SourceRecord {
  readonly namespace: string;
  readonly id: number;
  readonly sha256: string;
  readonly owner: string;
  readonly customer: string;
  readonly person: string;
  readonly trigger: number;
}

/** One file that a vault holds or held, opened; `problem` where it cannot be, though it should. */
export interface FileContent {
  readonly file: VaultFile;
  /** In the vault and with its key in the key store: an administrator can open it today. */
  readonly isLive: boolean;
  readonly opened: OpenedArchive | null;
  readonly problem: string | null;
}

export interface EndState {
  readonly at: number;
  readonly datasets: readonly Dataset[];
  readonly journal: readonly JournalEntry[];
  readonly source: readonly SourceRecord[];
  readonly ledger: Ledger;
  readonly files: readonly VaultFile[];
  /** By the service's id, of every file that the ledger calls an archive's. */
  readonly contents: ReadonlyMap<string, FileContent>;
  readonly deletedSeenAt: ReadonlyMap<string, number>;
}

export interface EndStateOptions {
  readonly client: MongoClient;
  /** Of the source. */
  readonly database: string;
  readonly ledgerDatabase: string;
  /** The emulator's folder. */
  readonly vaultState: string;
  /** Of the administrator (age). */
  readonly identity: string;
  readonly datasets: readonly Dataset[];
  readonly journal: readonly JournalEntry[];
  readonly witness: Witnessed;
}

export async function readEndState(options: EndStateOptions): Promise<EndState> {
  const { client, database, datasets, journal, witness } = options;
  const ledger = await readLedger(client, options.ledgerDatabase);
  const source: SourceRecord[] = [];
  for (const { collection } of datasets) source.push(...(await readSource(client, database, collection)));
  const files = readVaults(options.vaultState);
  const contents = await readContents(ledger, files, witness, options.identity);
  return { at: Date.now(), datasets, journal, source, ledger, files, contents, deletedSeenAt: witness.deletedSeenAt };
}

const recordSchema = z.object({
  _id: z.number(),
  owner: z.string(),
  tenant: z.string(),
  person: z.string(),
  at: z.date(),
});

export async function readSource(
  client: MongoClient,
  database: string,
  collection: string,
): Promise<readonly SourceRecord[]> {
  const found: unknown[] = await client.db(database).collection(collection).find({}, { raw: true }).toArray();
  return found.map((raw) => {
    if (!(raw instanceof Uint8Array)) throw new TypeError('the driver gave no raw document');
    const { _id, owner, tenant, person, at } = recordSchema.parse(deserialize(raw));
    const sha256 = createHash('sha256').update(raw).digest('hex');
    const namespace = `${database}.${collection}`;
    return { namespace, id: _id, sha256, owner, customer: tenant, person, trigger: at.getTime() };
  });
}

/** A file that is in the vault is opened as it lies there; one that is gone, from what the witness kept. */
async function readContents(
  ledger: Ledger,
  files: readonly VaultFile[],
  witness: Witnessed,
  identity: string,
): Promise<ReadonlyMap<string, FileContent>> {
  const keys = new Map(ledger.keys.map((key) => [key._id, key]));
  const pems = ledger.publicKeys.map(({ pem }) => pem);
  const byId = new Map(files.map((file) => [file.id, file]));
  const contents = new Map<string, FileContent>();
  for (const { stored, attempt } of ledger.archives) {
    if (stored === null || attempt === null) continue;
    const file = byId.get(stored.vaultArchiveId);
    if (file === undefined) continue;
    const key = keys.get(attempt);
    const isLive = !file.isDeleted && key?.state === 'kept';
    const wrapped = key?.state === 'kept' ? key.wrapped : witness.keys.get(attempt);
    const paths = file.isDeleted ? witness.files.get(file.id)?.paths : file.paths;
    if (wrapped === undefined || paths === undefined) {
      contents.set(file.id, { file, isLive, opened: null, problem: null });
      continue;
    }
    try {
      const bytes = Buffer.concat(paths.map((path) => readFileSync(path)));
      const opened = await openArchive(bytes, wrapped, identity, pems);
      contents.set(file.id, { file, isLive, opened, problem: null });
    } catch (error) {
      contents.set(file.id, { file, isLive, opened: null, problem: String(error) });
    }
  }
  return contents;
}
