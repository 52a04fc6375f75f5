/**
 * One member, sealed: zstd (but not for attachments), then one AWS Encryption SDK message under the archive key (promises
 * 8, 9 and 11).
 *
 * The encryption context names installation, owner, customer, archive and member, and is authenticated with the bytes:
 * a member that was moved to another name, archive or customer does not pass for what stands there, whatever key it
 * opens with. The suite commits to its key, so no message opens under two keys to two plaintexts.
 */
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import type { ArchiveKey } from '../keys/port.ts';
import { corrupt } from './corrupt.ts';
import { isCompressed } from './member-names.ts';
import { MIB } from './tree-hash.ts';

/** Where a member belongs; authenticated with it, and readable without the key. */
export interface MemberContext {
  readonly installation: string;
  readonly owner: string;
  readonly customer: string;
  readonly archive: string;
  /** The member's name in the tar file. */
  readonly member: string;
}

/** The context that all members of one archive share. */
export type ArchiveScope = Omit<MemberContext, 'member'>;

/** An archive key in memory: the daemon's fresh one, or one that an administrator's identity has unwrapped. */
export type SealKey = Pick<ArchiveKey, 'keyName' | 'bytes'>;

/** The provider id in every message; with the key's name it tells a reader which key to bring. */
const KEY_NAMESPACE = 'moraine';

/** Whole members in one frame: fewer tags and calls. Larger ones (a document over 1 MiB) have several. */
const FRAME_BYTES = MIB;
/** Level 3 compresses at about the speed at which the rest of the pipeline runs; more buys little on BSON. */
const ZSTD_LEVEL = 3;
/** Buffers that zlib fills at once. Measured: compressing into small ones costs the main thread least; decompressing, a single one. */
const COMPRESS_CHUNK_BYTES = 128 * 1024;
const DECOMPRESS_CHUNK_BYTES = MIB + 64 * 1024;
/** See MAX_MEMBER_BYTES: no member's plain bytes come near this, so a small message cannot fill the memory. */
const MAX_PLAIN_BYTES = 64 * MIB;

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** zstd where the name says so, then one message. The frame header of zstd carries the plain size, which stock decoders use. */
export async function sealMember(plain: Uint8Array, context: MemberContext, key: SealKey): Promise<Uint8Array> {
  const compressed = isCompressed(context.member)
    ? await compress(plain, {
        chunkSize: COMPRESS_CHUNK_BYTES,
        pledgedSrcSize: plain.byteLength,
        params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
      })
    : plain;
  return await withKeyring(key, async (keyring) => {
    // encrypt() changes its options, so each call gets a fresh object.
    const { result } = await encrypt(keyring, compressed, {
      suiteId: AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
      frameLength: FRAME_BYTES,
      encryptionContext: { ...context },
    });
    return result;
  });
}

/** The plain bytes of a member that was sealed as exactly `expected`. Throws ARCHIVE_CORRUPT. */
export async function openMember(sealed: Uint8Array, expected: MemberContext, key: SealKey): Promise<Uint8Array> {
  const { plain, context } = await openSealed(sealed, expected.member, key);
  assertContext(context, expected);
  return plain;
}

/** Opens a message and says what it was sealed as. `member` names it in errors only; the caller compares the context. */
export async function openSealed(
  sealed: Uint8Array,
  member: string,
  key: SealKey,
): Promise<{ plain: Uint8Array; context: MemberContext }> {
  const { plaintext, messageHeader } = await withKeyring(key, (keyring) => decrypt(keyring, sealed)).catch((cause) => {
    throw corrupt(member, `it is damaged, or not sealed with the key ${key.keyName}`, { cause });
  });
  const context = asMemberContext(messageHeader.encryptionContext);
  if (context === null) throw corrupt(member, 'its encryption context is not one that Moraine writes');
  if (!isCompressed(member)) return { plain: plaintext, context };
  const plain = await decompress(plaintext, {
    chunkSize: DECOMPRESS_CHUNK_BYTES,
    maxOutputLength: MAX_PLAIN_BYTES,
  }).catch((cause) => {
    throw corrupt(member, 'what was sealed is not one zstd frame', { cause });
  });
  return { plain, context };
}

/** Throws ARCHIVE_CORRUPT where a member was sealed as something else than it stands for. */
export function assertContext(actual: MemberContext, expected: MemberContext): void {
  for (const name of CONTEXT_NAMES) {
    if (actual[name] === expected[name]) continue;
    throw corrupt(expected.member, `it was sealed for ${name} ${actual[name]}, not ${expected[name]}`, {
      ids: { archive: expected.archive },
    });
  }
}

const CONTEXT_NAMES = ['installation', 'owner', 'customer', 'archive', 'member'] as const;

function asMemberContext(context: Readonly<Record<string, string>>): MemberContext | null {
  const { installation, owner, customer, archive, member } = context;
  if (Object.keys(context).length !== CONTEXT_NAMES.length) return null;
  if (installation === undefined || owner === undefined || customer === undefined) return null;
  if (archive === undefined || member === undefined) return null;
  return { installation, owner, customer, archive, member };
}

/** The keyring lives for one call, and its copy of the key is overwritten: nothing here outlives `forget()`. */
async function withKeyring<T>(key: SealKey, use: (keyring: RawAesKeyringNode) => Promise<T>): Promise<T> {
  const copy = Uint8Array.from(key.bytes());
  try {
    const keyring = new RawAesKeyringNode({
      keyName: key.keyName,
      keyNamespace: KEY_NAMESPACE,
      unencryptedMasterKey: copy,
      wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    });
    return await use(keyring);
  } finally {
    copy.fill(0);
  }
}
