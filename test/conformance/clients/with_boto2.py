"""What boto 2.49 has of the service: layers 1 and 2, with its concurrent uploader and downloader.

boto 2 is older than access policies, vault locks, tags, retrieval policies and provisioned capacity.
"""

import json
import os
import tempfile

import boto.glacier.concurrent
import boto.glacier.job
import boto.glacier.utils
from boto.glacier.concurrent import ConcurrentDownloader, ConcurrentUploader
from boto.glacier.exceptions import UnexpectedHTTPResponseError
from boto.glacier.layer1 import Layer1
from boto.glacier.layer2 import Layer2
from boto.regioninfo import RegionInfo

from proofs import ACCESS_KEY, ACCOUNT, ENDPOINT, MIB, REGION, SECRET_KEY
from proofs import advance, control, equal, pattern, prove, tree_hash


host, port = ENDPOINT.removeprefix("http://").split(":")
glacier = Layer2(
    aws_access_key_id=ACCESS_KEY,
    aws_secret_access_key=SECRET_KEY,
    is_secure=False,
    port=int(port),
    region=RegionInfo(name=REGION, endpoint=host, connection_cls=Layer1),
)
# From a host of Amazon's boto reads these two out of its name.
glacier.layer1.auth_region_name = REGION
glacier.layer1.auth_service_name = "glacier"

VAULT = "boto2-vault"
ARN = f"arn:aws:glacier:{REGION}:{ACCOUNT}:vaults/{VAULT}"
folder = tempfile.TemporaryDirectory()
SMALL = pattern(2 * MIB + 17, "small")
LARGE = pattern(9 * MIB + 4321, "large")
made = {}


def file_of(name, data):
    path = os.path.join(folder.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def content(path):
    with open(path, "rb") as file:
        return file.read()


def refused(status, code, call, *args):
    try:
        call(*args)
    except UnexpectedHTTPResponseError as error:
        equal((error.status, error.code), (status, code), "refusal")
        return str(error)
    raise AssertionError(f"not refused: {args}")


@prove("create, describe and list vaults", "CreateVault", "DescribeVault", "ListVaults")
def vaults():
    names = [VAULT] + [f"boto2-{letter}" for letter in "abcdefghijkl"]
    for name in names:
        equal(glacier.create_vault(name).arn, ARN.replace(VAULT, name))
    vault = glacier.get_vault(VAULT)
    equal((vault.name, vault.number_of_archives, vault.last_inventory_date), (VAULT, 0, None))
    equal(sorted(names), [each.name for each in glacier.list_vaults()])
    text = refused(404, "ResourceNotFoundException", glacier.get_vault, "nowhere")
    equal("Vault not found for ARN" in text, True, text)


@prove("delete an empty vault, twice", "DeleteVault")
def delete_vault():
    for _ in range(2):
        glacier.delete_vault("boto2-a")
    refused(404, "ResourceNotFoundException", glacier.get_vault, "boto2-a")


@prove("upload a file in one request", "UploadArchive")
def upload():
    made["small"] = glacier.get_vault(VAULT).upload_archive(file_of("small", SMALL), "in one")
    equal(len(made["small"]), 138, "length of the id")
    with open(file_of("small", SMALL), "rb") as file:
        linear, tree = boto.glacier.utils.compute_hashes_from_fileobj(file)
    equal(tree.decode(), tree_hash(SMALL), "boto's own tree hash")
    text = refused(400, "InvalidParameterValueException", glacier.layer1.upload_archive, VAULT, SMALL, linear, "ab" * 32)
    equal("Checksum mismatch" in text, True, text)


@prove(
    "upload a file with the concurrent uploader",
    "InitiateMultipartUpload",
    "UploadMultipartPart",
    "CompleteMultipartUpload",
)
def concurrent_upload():
    uploader = ConcurrentUploader(glacier.layer1, VAULT, part_size=MIB, num_threads=4)
    made["large"] = uploader.upload(file_of("large", LARGE), "concurrently")
    equal(len(made["large"]), 138, "length of the id")
    equal(glacier.layer1.list_multipart_uploads(VAULT)["UploadsList"], [])


@prove("take up an upload that was left, then abort one", "ListParts", "ListMultipartUploads", "AbortMultipartUpload")
def resume():
    vault = glacier.get_vault(VAULT)
    upload_id = glacier.layer1.initiate_multipart_upload(VAULT, MIB, "left")["UploadId"]
    first = SMALL[:MIB]
    linear = boto.glacier.utils.hashlib.sha256(first).hexdigest()
    glacier.layer1.upload_part(VAULT, upload_id, linear, tree_hash(first), (0, MIB - 1), first).read()
    listed = glacier.layer1.list_multipart_uploads(VAULT)["UploadsList"]
    equal([(each["MultipartUploadId"], each["ArchiveDescription"]) for each in listed], [(upload_id, "left")])
    parts = vault.list_all_parts(upload_id)
    equal(parts["Parts"], [{"RangeInBytes": f"0-{MIB - 1}", "SHA256TreeHash": tree_hash(first)}])
    # boto's own `resume_archive_from_file` reads no file on Python 3: the parts that are missing are sent one by one.
    for start in (MIB, 2 * MIB):
        data = SMALL[start : start + MIB]
        linear = boto.glacier.utils.hashlib.sha256(data).hexdigest()
        byte_range = (start, start + len(data) - 1)
        glacier.layer1.upload_part(VAULT, upload_id, linear, tree_hash(data), byte_range, data).read()
    done = glacier.layer1.complete_multipart_upload(VAULT, upload_id, tree_hash(SMALL), len(SMALL))
    made["resumed"] = done["ArchiveId"]
    upload_id = glacier.layer1.initiate_multipart_upload(VAULT, MIB, "")["UploadId"]
    glacier.layer1.abort_multipart_upload(VAULT, upload_id)
    refused(404, "ResourceNotFoundException", glacier.layer1.list_parts, VAULT, upload_id)


@prove(
    "a vault that tells a topic of completed jobs",
    "SetVaultNotifications",
    "GetVaultNotifications",
    "DeleteVaultNotifications",
)
def notifications():
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:nobody-has-made-it"
    wanted = {"SNSTopic": topic, "Events": ["InventoryRetrievalCompleted"]}
    glacier.layer1.set_vault_notifications(VAULT, wanted)
    got = glacier.layer1.get_vault_notifications(VAULT)
    equal({key: got[key] for key in wanted}, wanted)
    glacier.layer1.delete_vault_notifications(VAULT)
    refused(404, "ResourceNotFoundException", glacier.layer1.get_vault_notifications, VAULT)


@prove(
    "retrieve an archive: with the concurrent downloader, in chunks, and by range",
    "InitiateJob",
    "DescribeJob",
    "ListJobs",
    "GetJobOutput",
)
def retrieve():
    # What is compared with the text of a header: as bytes, which boto makes of it, nothing is equal on Python 3. All
    # that was sent before went through boto's code as it is.
    boto.glacier.concurrent.bytes_to_hex = bytes.hex
    boto.glacier.job.tree_hash_from_str = tree_hash
    vault = glacier.get_vault(VAULT)
    job = vault.retrieve_archive(made["large"], description="for Ann")
    equal((job.completed, job.status_code, job.archive_size), (False, "InProgress", len(LARGE)))
    refused(400, "InvalidParameterValueException", job.get_output)
    advance("PT5H")
    job = vault.get_job(job.id)
    equal((job.completed, job.sha256_treehash, job.description), (True, tree_hash(LARGE), "for Ann"))
    target = os.path.join(folder.name, "downloaded")
    ConcurrentDownloader(job, part_size=MIB, num_threads=4).download(target)
    equal(content(target) == LARGE, True, "bytes of the concurrent downloader")
    job.download_to_file(target, chunk_size=4 * MIB)
    equal(content(target) == LARGE, True, "bytes of the download in chunks")
    part = job.get_output(byte_range=(4 * MIB, 8 * MIB - 1), validate_checksum=False)
    equal((part.status, part["TreeHash"]), (206, tree_hash(LARGE[4 * MIB : 8 * MIB])))
    equal(part["ContentRange"], f"bytes {4 * MIB}-{8 * MIB - 1}/{len(LARGE)}")
    equal(part.read() == LARGE[4 * MIB : 8 * MIB], True, "bytes of the range")
    equal([each.id for each in vault.list_jobs(completed=True)], [job.id])
    equal(vault.list_jobs(status_code="InProgress"), [])


@prove("an inventory after a day, by date and in pages", "InitiateJob", "GetJobOutput")
def inventory():
    advance("P1D")
    vault = glacier.get_vault(VAULT)
    equal((vault.number_of_archives, vault.size), (3, len(LARGE) + 2 * len(SMALL)))
    job = vault.retrieve_inventory_job(description="all of it", limit=10)
    advance("PT4H")
    archives = json.loads(vault.get_job(job.id).get_output().read())["ArchiveList"]
    expected = {
        made["small"]: (len(SMALL), tree_hash(SMALL), "in one"),
        made["large"]: (len(LARGE), tree_hash(LARGE), "concurrently"),
        made["resumed"]: (len(SMALL), tree_hash(SMALL), "left"),
    }
    listed = {each["ArchiveId"]: (each["Size"], each["SHA256TreeHash"], each["ArchiveDescription"]) for each in archives}
    equal(listed, expected, "the inventory")


@prove("delete archives, twice, then the vault a day later", "DeleteArchive", "DeleteVault")
def delete_archives():
    vault = glacier.get_vault(VAULT)
    for archive in (*[made[name] for name in ("small", "large", "resumed")], made["small"]):
        vault.delete_archive(archive)
    text = refused(400, "InvalidParameterValueException", vault.delete)
    equal(f"Vault not empty or recently written to: {ARN}" in text, True, text)
    advance("P1D")
    vault.delete()
    refused(404, "ResourceNotFoundException", glacier.get_vault, VAULT)


equal("UploadArchive" in control("calls")["calls"], True, "the emulator's own count")
folder.cleanup()
