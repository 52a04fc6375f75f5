/**
 * manifest.json: what an archive is and what it holds, signed, without personal data. It carries no SHA-256 of plain
 * member bytes: for a small member that would confirm a guess at its content long after the key is destroyed.
 */
import { z } from 'zod';
import type { ArchiveId, AttemptId, CustomerId, Namespace, OwnerId, PolicyVersion } from '../ids.ts';
import type { Signature } from '../keys/port.ts';
import { corrupt } from './corrupt.ts';
import { MANIFEST_NAME, SIGNATURE_NAME } from './member-names.ts';

export const MANIFEST_FORMAT = 'moraine-archive';
export const MANIFEST_VERSION = 1;
const SIGNATURE_ALGORITHM = 'Ed25519';

/** What the ledger knows of an archive before its first byte is made. */
export interface ArchiveDescription {
  readonly installation: string;
  readonly archive: ArchiveId;
  readonly attempt: AttemptId;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly dataset: Namespace;
  readonly policy: string;
  readonly policyVersion: PolicyVersion;
  /** Only of an addendum: the archive that holds the roots of these children. */
  readonly addendumTo?: ArchiveId;
}

const name = z.string().min(1);
const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const instant = z.iso.datetime();

const memberSchema = z.strictObject({
  name,
  kind: z.enum(['readme', 'segment', 'index', 'attachment', 'attachmentIndex', 'manifest', 'signature']),
  /** Where its data begin in the tar file, and how many bytes they are there. */
  offset: count,
  length: count,
  /** Of the data as they are in the tar file. */
  sha256,
  /** Bytes before compression and sealing; those of the file itself for a member that is not sealed. */
  plainBytes: count,
  /** Records (segment) or entries (index), and the ordinal of the first; 0 for other kinds. */
  records: count,
  firstOrdinal: count,
  segment: count.nullable(),
  /** Only of segments and index pages of children: the collection that they come from. */
  collection: name.optional(),
  /** Only of an attachment's members: its number. */
  attachment: count.optional(),
});

const childrenSchema = z.strictObject({
  collection: name,
  records: count,
  plainBytes: count,
  segments: count,
  merkleRoot: sha256,
});

const attachmentsSchema = z.strictObject({ files: count, bytes: count, merkleRoot: sha256 });

const manifestSchema = z.strictObject({
  format: z.literal(MANIFEST_FORMAT),
  version: z.literal(MANIFEST_VERSION),
  installation: name,
  archive: name,
  attempt: name,
  owner: name,
  customer: name,
  dataset: name,
  policy: name,
  policyVersion: name,
  keyName: name,
  sealedAt: instant,
  due: z.strictObject({ first: instant, last: instant }),
  records: count,
  plainBytes: count,
  segments: count,
  merkleRoot: sha256,
  auditHead: z.strictObject({ seq: count, hash: name }).nullable(),
  addendumTo: name.optional(),
  /** One entry for each collection with children of the records; absent where there are none. */
  children: z.array(childrenSchema).optional(),
  attachments: attachmentsSchema.optional(),
  /** All members in file order but the manifest and its signature. */
  members: z.array(memberSchema),
});

const signatureSchema = z.strictObject({
  keyId: name,
  algorithm: z.literal(SIGNATURE_ALGORITHM),
  signature: z.base64(),
});

export type Member = Readonly<z.infer<typeof memberSchema>>;
export type Manifest = Readonly<z.infer<typeof manifestSchema>>;
/** What an archive holds of one collection with children. */
export type ChildrenTotals = Readonly<z.infer<typeof childrenSchema>>;
/** What an archive holds of attachments. */
export type AttachmentTotals = Readonly<z.infer<typeof attachmentsSchema>>;

export function encodeManifest(manifest: Manifest): Uint8Array {
  return Buffer.from(`${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`, 'utf8');
}

/** Throws ARCHIVE_CORRUPT. Says nothing about the signature. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  return decodeJson(bytes, manifestSchema, MANIFEST_NAME);
}

export function encodeSignature(signature: Signature): Uint8Array {
  const value = {
    keyId: signature.keyId,
    algorithm: SIGNATURE_ALGORITHM,
    signature: Buffer.from(signature.bytes).toString('base64'),
  };
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`, 'utf8');
}

/** Throws ARCHIVE_CORRUPT. */
export function decodeSignature(bytes: Uint8Array): Signature {
  const { keyId, signature } = decodeJson(bytes, signatureSchema, SIGNATURE_NAME);
  return { keyId, bytes: Buffer.from(signature, 'base64') };
}

function decodeJson<T>(bytes: Uint8Array, schema: z.ZodType<T>, member: string): T {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw corrupt(member, 'it is not JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw corrupt(member, `${issue?.path.join('.') || 'its form'}: ${issue?.message ?? 'not as expected'}`);
}
