"""Opens a Moraine archive with stock libraries only, checks everything that can be checked, and says what it found.

    python open_archive.py ARCHIVE.tar KEYFILE [PUBLIC_KEY.pem]

KEYFILE holds the archive key as 64 hexadecimal digits. Without a public key, the one in README.txt is used: that shows
that the file is whole, not who made it. Prints one JSON document; exits with 1 and a sentence where something is wrong.
Written from docs/archive-format.md alone; nothing of it comes from Moraine's own code.
"""

import base64
import hashlib
import json
import re
import struct
import sys
import tarfile

import bson
import zstandard
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider
from bson.codec_options import CodecOptions, DatetimeConversion
from cryptography.hazmat.primitives.serialization import load_pem_public_key

LENIENT = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace")


class ArchiveKey(RawMasterKeyProvider):
    provider_id = "moraine"

    def __init__(self, **_):
        self.raw = b""

    def _get_raw_key(self, key_id):
        return WrappingKey(WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, self.raw, EncryptionKeyType.SYMMETRIC)


def main(archive_path, key_path, pem_path=None):
    with tarfile.open(archive_path) as tar:
        members = {member.name: (member.offset_data, tar.extractfile(member).read()) for member in tar}
    manifest = check_signature(members, pem_path)
    check_members(members, manifest)
    key = ArchiveKey()
    with open(key_path, encoding="ascii") as file:
        key.raw = bytes.fromhex(file.read().strip())
    key.add_master_key(manifest["keyName"])
    runs = {None: manifest, **{run["collection"]: run for run in manifest.get("children", [])}}
    records = {collection: [] for collection in runs}
    index = {collection: [] for collection in runs}
    files = {}
    file_index = []
    for member in manifest["members"]:
        collection = member.get("collection")
        if member["kind"] == "readme":
            continue
        plain = unseal(members, member, manifest, key)
        if member["kind"] == "segment":
            offset = 0
            for record in documents(plain):
                records[collection].append((member["segment"], offset, record))
                offset += len(record)
        elif member["kind"] == "index":
            index[collection] += [bson.decode(entry, LENIENT) for entry in documents(plain)]
        elif member["kind"] == "attachment":
            files.setdefault(member["attachment"], []).append(plain)
        elif member["kind"] == "attachmentIndex":
            file_index += [bson.decode(entry) for entry in documents(plain)]
    hashes = {}
    for collection, run in runs.items():
        hashes[collection] = [hashlib.sha256(record).digest() for _, _, record in records[collection]]
        check_index(records[collection], hashes[collection], index[collection], collection is not None)
        expect(len(records[collection]) == run["records"], "the manifest counts other records")
        expect(merkle_root(hashes[collection]).hex() == run["merkleRoot"], "the Merkle root is not that of the records")
    check_files(files, file_index, manifest)
    return {
        "archive": manifest["archive"],
        "manifestOk": True,
        "records": len(records[None]),
        "sha256": [digest.hex() for digest in hashes[None]],
        "keys": [entry["key"].hex() for entry in index[None]],
        "children": {run: [digest.hex() for digest in hashes[run]] for run in runs if run is not None},
        "attachments": [entry["sha256"].hex() for entry in file_index],
    }


def check_signature(members, pem_path):
    manifest = members["manifest.json"][1]
    signature = json.loads(members["manifest.sig"][1])
    expect(signature["algorithm"] == "Ed25519", "manifest.sig is of another algorithm")
    if pem_path is not None:
        with open(pem_path, "rb") as file:
            pem = file.read()
    else:
        readme = members["README.txt"][1].decode()
        pattern = r"key id " + re.escape(signature["keyId"]) + r",[^\n]*\n(-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----)"
        pem = re.search(pattern, readme, re.DOTALL).group(1).encode()
    load_pem_public_key(pem).verify(base64.b64decode(signature["signature"]), manifest)
    return json.loads(manifest)


def check_members(members, manifest):
    names = [member["name"] for member in manifest["members"]] + ["manifest.json", "manifest.sig"]
    expect(list(members) == names, "the file holds other members than the manifest lists")
    for member in manifest["members"]:
        offset, data = members[member["name"]]
        expect(offset == member["offset"] and len(data) == member["length"], member["name"] + " stands elsewhere")
        expect(hashlib.sha256(data).hexdigest() == member["sha256"], member["name"] + " has another SHA-256")


def unseal(members, member, manifest, key):
    client = EncryptionSDKClient(commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
    packed, header = client.decrypt(source=members[member["name"]][1], key_provider=key)
    context = {name: manifest[name] for name in ("installation", "owner", "customer", "archive")}
    expect(header.encryption_context == {**context, "member": member["name"]}, member["name"] + " was sealed for another place")
    plain = packed if member["kind"] == "attachment" else zstandard.ZstdDecompressor().decompress(packed)
    expect(len(plain) == member["plainBytes"], member["name"] + " has another size")
    return plain


def documents(plain):
    offset = 0
    while offset < len(plain):
        (length,) = struct.unpack_from("<i", plain, offset)
        yield plain[offset : offset + length]
        offset += length


def check_index(records, hashes, index, are_children):
    expect(len(index) == len(records), "the index has another number of entries")
    for ordinal, ((segment, offset, record), digest, entry) in enumerate(zip(records, hashes, index)):
        place = (entry["ordinal"], entry["segment"], entry["offset"], entry["length"], entry["sha256"])
        expect(place == (ordinal, segment, offset, len(record), digest), f"index entry {ordinal} does not fit")
        expect(entry["key"][1:] in record, f"the key of index entry {ordinal} is not in the record")
        expect(("root" in entry) == are_children, f"index entry {ordinal} is not that of its kind")


def check_files(files, index, manifest):
    said = manifest.get("attachments", {"files": 0, "bytes": 0, "merkleRoot": None})
    expect(len(index) == len(files) == said["files"], "the manifest counts other attachments")
    for number, entry in enumerate(index):
        parts = files.get(number, [])
        file = b"".join(parts)
        found = (number, len(parts), len(file), hashlib.sha256(file).digest())
        expect(found == (entry["_id"], entry["parts"], entry["bytes"], entry["sha256"]), f"attachment {number} does not fit")
    if index:
        root = merkle_root([entry["sha256"] for entry in index]).hex()
        expect(root == said["merkleRoot"], "the Merkle root is not that of the attachments")


def merkle_root(hashes):
    """The leaves are the hashes of the records; an odd one moves up unchanged."""
    if not hashes:
        return hashlib.sha256().digest()
    level = hashes
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\x01" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def expect(holds, otherwise):
    if not holds:
        sys.exit(otherwise)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
