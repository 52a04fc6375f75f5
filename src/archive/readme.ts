/** README.txt, the first member: for whoever finds the file and knows nothing of Moraine. */
import type { SigningPublicKey } from '../keys/port.ts';
import type { ArchiveDescription } from './manifest.ts';

/** The same program stands in docs/archive-format.md, and a test runs it on a real archive. */
export const PYTHON_OPENER = `
import bson, json, sys, tarfile, zstandard
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

class ArchiveKey(RawMasterKeyProvider):
    provider_id = "moraine"
    def _get_raw_key(self, key_id):
        raw = bytes.fromhex(open(sys.argv[2]).read().strip())
        return WrappingKey(WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, raw, EncryptionKeyType.SYMMETRIC)

client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
with tarfile.open(sys.argv[1]) as tar:
    provider = ArchiveKey()
    provider.add_master_key(json.load(tar.extractfile("manifest.json"))["keyName"])
    for name in (n for n in tar.getnames() if n.startswith("segments/")):
        packed, header = client.decrypt(source=tar.extractfile(name).read(), key_provider=provider)
        assert header.encryption_context["member"] == name
        for record in bson.decode_iter(zstandard.decompress(packed)):
            print(record)
`.trim();

/** The text, with the public keys that manifest.sig can be checked with. */
export function readmeText(description: ArchiveDescription, publicKeys: readonly SigningPublicKey[]): string {
  return `MORAINE ARCHIVE, FORMAT VERSION 1

This tar file holds records that were moved out of a MongoDB collection when their active period was over.

  archive       ${description.archive} (attempt ${description.attempt})
  installation  ${description.installation}
  dataset       ${description.dataset}

MEMBERS, IN THIS ORDER

  README.txt                        this text
  segments/<collection>/NNNNNNNN.bson.zst.esdk
                                    records: BSON documents one after the other, compressed with zstd, then sealed as
                                    one AWS Encryption SDK message; also the children of the records, in the folder
                                    of the collection that they come from
  attachments/NNNNNNNN/NNNN.esdk    a file that hangs on a record, sealed in parts and not compressed: the parts of one
                                    folder one after the other are the file
  index/NNNNNNNN.bson.zst.esdk      sealed in the same way; one BSON document per record: _id, key, ordinal, segment,
                                    offset and length in the segment's plain bytes, sha256
  index/<collection>/, index/attachments/
                                    the same for children (root: the ordinal of their record) and for attachments
  manifest.json                     ids, counts, and every member above with offset, length and SHA-256
  manifest.sig                      Ed25519 signature over the bytes of manifest.json

OPENING IT

The archive key is 32 bytes. It is kept outside this file, wrapped for the owner's administrators (age). Once the key
is destroyed, nothing opens the sealed members. With the key as 64 hexadecimal digits in a file, this Python program
(pip install aws-encryption-sdk zstandard pymongo) prints the records: python open.py ARCHIVE.tar KEYFILE

${PYTHON_OPENER.replaceAll(/^(?=.)/gm, '    ')}

Each message names, in its encryption context, the installation, owner, customer, archive and member that it was
sealed for. Whoever opens it must compare them, and the SHA-256 of each member with manifest.json.

PUBLIC KEYS FOR manifest.sig

Compare them with a copy from elsewhere: a forger would replace them here too.

${publicKeys.map(publicKeyText).join('\n')}`;
}

function publicKeyText(key: SigningPublicKey): string {
  const until = key.validTo === null ? 'with no end set when this was written' : `until ${key.validTo.toISOString()}`;
  return `key id ${key.keyId}, valid from ${key.validFrom.toISOString()}, ${until}\n${key.pem.trimEnd()}\n`;
}
