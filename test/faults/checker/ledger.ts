/** The ledger as it lies in the database: raw documents, read with the driver alone. */
import { Binary, type MongoClient } from 'mongodb';
import { z } from 'zod';

const bytes = z.unknown().transform((value) => bytesOf(value));
const outcomes = z.object({
  archived: z.number(),
  deleted: z.number(),
  changed: z.number(),
  held: z.number(),
  gone: z.number(),
  quarantined: z.number(),
  pending: z.number(),
});

const archiveSchema = z.object({
  _id: z.string(),
  state: z.string(),
  policy: z.string(),
  namespace: z.string(),
  owner: z.string(),
  customer: z.string(),
  attempt: z.string().nullable(),
  dueAt: z.date().nullable(),
  outcomes,
  rosterShrunk: z.boolean(),
  lease: z.object({ worker: z.string() }).nullable(),
  stored: z
    .object({
      vaultArchiveId: z.string(),
      bytes: z.number(),
      treeHash: z.string(),
      records: z.number(),
      merkleRoot: z.string(),
      manifestSha256: z.string(),
    })
    .nullable(),
  purge: z
    .object({
      claimedDueAt: z.date(),
      askedAt: z.date().nullable(),
      acceptedAt: z.date().nullable(),
      keyDestroyedAt: z.date().nullable(),
    })
    .nullable(),
});
const attemptSchema = z.object({
  _id: z.string(),
  archive: z.string(),
  state: z.string(),
  uploadId: z.string().nullable(),
});
const keySchema = z.discriminatedUnion('state', [
  z.object({ _id: z.string(), state: z.literal('kept'), owner: z.string(), wrapped: bytes }),
  z.object({ _id: z.string(), state: z.literal('destroyed') }),
]);
const certificateSchema = z.object({
  _id: z.string(),
  archive: z.string().nullable(),
  owner: z.string(),
  customer: z.string(),
  body: z.string(),
  signature: bytes,
  keyId: z.string(),
});
const publicKeySchema = z.object({ _id: z.string(), pem: z.string() });
const auditEntry = z.looseObject({
  seq: z.number(),
  act: z.string(),
  phase: z.string(),
  subject: z.record(z.string(), z.string()),
  previous: z.string(),
  hash: z.string(),
});
const auditBlock = z.object({ _id: z.string(), entries: z.array(auditEntry) });
const expirationSchema = z.object({
  _id: z.string(),
  state: z.string(),
  namespace: z.string(),
  owner: z.string(),
  customer: z.string(),
  asOf: z.date(),
  outcomes: outcomes.nullable(),
});
const quarantineSchema = z.object({
  kind: z.string(),
  namespace: z.string(),
  archive: z.string().nullable(),
  idBytes: bytes.nullable(),
  state: z.string(),
  reason: z.string(),
});
const inFlightSchema = z.object({ _id: z.string(), until: z.date() });
const holdSchema = z.object({ _id: z.string(), state: z.string(), tooLate: z.array(z.string()) });

export type LedgerArchive = z.output<typeof archiveSchema>;
export type LedgerCertificate = z.output<typeof certificateSchema>;
export type AuditBlock = z.output<typeof auditBlock>;

export interface Ledger {
  readonly archives: readonly LedgerArchive[];
  readonly attempts: readonly z.output<typeof attemptSchema>[];
  readonly keys: readonly z.output<typeof keySchema>[];
  readonly certificates: readonly LedgerCertificate[];
  readonly publicKeys: readonly z.output<typeof publicKeySchema>[];
  readonly audit: readonly AuditBlock[];
  readonly expirations: readonly z.output<typeof expirationSchema>[];
  readonly quarantine: readonly z.output<typeof quarantineSchema>[];
  readonly inFlight: readonly z.output<typeof inFlightSchema>[];
  readonly holds: readonly z.output<typeof holdSchema>[];
}

export async function readLedger(client: MongoClient, database: string): Promise<Ledger> {
  const read = async <T>(collection: string, schema: z.ZodType<T>): Promise<readonly T[]> => {
    const found = await client.db(database).collection(collection).find().sort({ _id: 1 }).toArray();
    return found.map((document) => schema.parse(document));
  };
  return {
    archives: await read('archives', archiveSchema),
    attempts: await read('attempts', attemptSchema),
    keys: await read('archiveKeys', keySchema),
    certificates: await read('certificates', certificateSchema),
    publicKeys: await read('publicSigningKeys', publicKeySchema),
    audit: await read('audit', auditBlock),
    expirations: await read('expirations', expirationSchema),
    quarantine: await read('quarantine', quarantineSchema),
    inFlight: await read('inFlight', inFlightSchema),
    holds: await read('holds', holdSchema),
  };
}

/** The bytes of a binary value, however the driver gave it. */
export function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Binary) return Uint8Array.from(value.buffer.subarray(0, value.position));
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  throw new TypeError('not a binary value');
}
