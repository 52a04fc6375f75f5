"""Every operation of the service through boto3, the SDK for Python, and its own waiters and paginators."""

import json
import time
import urllib.request

import boto3
from botocore.config import Config
from botocore.utils import calculate_tree_hash
from io import BytesIO

from proofs import ACCESS_KEY, ACCOUNT, ENDPOINT, MIB, REGION, SECRET_KEY, SNS_ENDPOINT
from proofs import advance, equal, pattern, prove, tree_hash

SESSION = boto3.session.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=REGION)
CONFIG = Config(retries={"max_attempts": 1})
glacier = SESSION.client("glacier", endpoint_url=ENDPOINT, config=CONFIG)
sns = SESSION.client("sns", endpoint_url=SNS_ENDPOINT, config=CONFIG)
sqs = SESSION.client("sqs", endpoint_url=SNS_ENDPOINT, config=CONFIG)

VAULT = "boto3-vault"
ARN = f"arn:aws:glacier:{REGION}:{ACCOUNT}:vaults/{VAULT}"
WHOLE = pattern(5 * MIB + 4321, "whole")
PARTS = pattern(3 * MIB + 99, "parts")
made = {}


def refused(code, call, **parameters):
    """The message with which the service refuses the call; it must be by this code."""
    try:
        call(**parameters)
    except glacier.exceptions.ClientError as error:
        equal(error.response["Error"]["Code"], code, "error code")
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused: {parameters}")


@prove("create, describe and list vaults, in pages", "CreateVault", "DescribeVault", "ListVaults")
def vaults():
    names = [VAULT] + [f"boto3-{letter}" for letter in "abcdefghijkl"]
    for name in names:
        reply = glacier.create_vault(vaultName=name)
        equal(reply["location"], f"/{ACCOUNT}/vaults/{name}", "location")
    glacier.get_waiter("vault_exists").wait(vaultName=VAULT)
    described = glacier.describe_vault(vaultName=VAULT)
    equal((described["VaultARN"], described["NumberOfArchives"]), (ARN, 0))
    pages = [[vault["VaultName"] for vault in page["VaultList"]] for page in glacier.get_paginator("list_vaults").paginate()]
    equal([len(page) for page in pages], [10, 3], "sizes of pages")
    equal(sorted(names), sum(pages, []), "names")
    message = refused("ResourceNotFoundException", glacier.describe_vault, vaultName="nowhere")
    equal(message, f"Vault not found for ARN: {ARN.replace(VAULT, 'nowhere')}")
    refused("InvalidParameterValueException", glacier.create_vault, vaultName="a b")


@prove("delete an empty vault, twice", "DeleteVault")
def delete_vault():
    for _ in range(2):
        glacier.delete_vault(vaultName="boto3-a")
    glacier.get_waiter("vault_not_exists").wait(vaultName="boto3-a")


@prove("tag a vault", "AddTagsToVault", "ListTagsForVault", "RemoveTagsFromVault")
def tags():
    glacier.add_tags_to_vault(vaultName=VAULT, Tags={"owner": "acme", "kind": "calls"})
    equal(glacier.list_tags_for_vault(vaultName=VAULT)["Tags"], {"owner": "acme", "kind": "calls"})
    glacier.remove_tags_from_vault(vaultName=VAULT, TagKeys=["kind"])
    equal(glacier.list_tags_for_vault(vaultName=VAULT)["Tags"], {"owner": "acme"})
    refused("LimitExceededException", glacier.add_tags_to_vault, vaultName=VAULT, Tags={f"k{i}": "" for i in range(10)})


@prove("upload an archive in one request; another checksum is refused", "UploadArchive")
def upload():
    reply = glacier.upload_archive(vaultName=VAULT, archiveDescription='in one, "quoted"', body=BytesIO(WHOLE))
    equal(reply["checksum"], tree_hash(WHOLE), "tree hash")
    equal(calculate_tree_hash(BytesIO(WHOLE)), tree_hash(WHOLE), "botocore's own tree hash")
    equal(len(reply["archiveId"]), 138, "length of the id")
    made["whole"] = reply["archiveId"]
    message = refused("InvalidParameterValueException", glacier.upload_archive, vaultName=VAULT, body=b"x", checksum="ab" * 32)
    equal(message, f"Checksum mismatch: expected {'ab' * 32}, computed {tree_hash(b'x')}")


@prove(
    "upload an archive in parts, out of order, one sent twice",
    "InitiateMultipartUpload",
    "UploadMultipartPart",
    "ListParts",
    "ListMultipartUploads",
    "CompleteMultipartUpload",
)
def multipart():
    upload_id = glacier.initiate_multipart_upload(vaultName=VAULT, archiveDescription="in parts", partSize=str(MIB))["uploadId"]

    def send(start, data):
        contents = f"bytes {start}-{start + len(data) - 1}/*"
        reply = glacier.upload_multipart_part(vaultName=VAULT, uploadId=upload_id, range=contents, body=data)
        equal(reply["checksum"], tree_hash(data), "tree hash of the part")

    send(MIB, pattern(MIB, "other"))
    for start in (3 * MIB, MIB, 0, 2 * MIB):
        send(start, PARTS[start : start + MIB])
    uploads = [one for page in glacier.get_paginator("list_multipart_uploads").paginate(vaultName=VAULT) for one in page["UploadsList"]]
    equal([(one["MultipartUploadId"], one["ArchiveDescription"]) for one in uploads], [(upload_id, "in parts")])
    pages = glacier.get_paginator("list_parts").paginate(vaultName=VAULT, uploadId=upload_id, PaginationConfig={"PageSize": 3})
    parts = [part for page in pages for part in page["Parts"]]
    starts = range(0, len(PARTS), MIB)
    equal([part["SHA256TreeHash"] for part in parts], [tree_hash(PARTS[start : start + MIB]) for start in starts])
    complete = {"vaultName": VAULT, "uploadId": upload_id, "archiveSize": str(len(PARTS)), "checksum": tree_hash(PARTS)}
    reply = glacier.complete_multipart_upload(**complete)
    equal(reply["checksum"], tree_hash(PARTS), "tree hash of the archive")
    equal(glacier.complete_multipart_upload(**complete)["archiveId"], reply["archiveId"], "id when completed again")
    equal(glacier.list_multipart_uploads(vaultName=VAULT)["UploadsList"], [])
    made["parts"] = reply["archiveId"]


@prove("abort an upload", "AbortMultipartUpload")
def abort():
    upload_id = glacier.initiate_multipart_upload(vaultName=VAULT, partSize=str(MIB))["uploadId"]
    glacier.abort_multipart_upload(vaultName=VAULT, uploadId=upload_id)
    message = refused("ResourceNotFoundException", glacier.list_parts, vaultName=VAULT, uploadId=upload_id)
    equal(message, f"The upload ID was not found: {upload_id}")
    refused("InvalidParameterValueException", glacier.initiate_multipart_upload, vaultName=VAULT, partSize=str(3 * MIB))


@prove(
    "tell a topic of completed jobs: SQS gets what DescribeJob says",
    "SetVaultNotifications",
    "GetVaultNotifications",
    "DeleteVaultNotifications",
)
def notifications():
    topic = sns.create_topic(Name="conformance-boto3")["TopicArn"]
    queue = sqs.create_queue(QueueName="conformance-boto3")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    try:
        wanted = {"SNSTopic": topic, "Events": ["ArchiveRetrievalCompleted"]}
        glacier.set_vault_notifications(vaultName=VAULT, vaultNotificationConfig=wanted)
        equal(glacier.get_vault_notifications(vaultName=VAULT)["vaultNotificationConfig"], wanted)
        parameters = {"Type": "archive-retrieval", "ArchiveId": made["whole"], "Tier": "Expedited"}
        job = glacier.initiate_job(vaultName=VAULT, jobParameters=parameters)["jobId"]
        advance("PT5M")
        deadline = time.monotonic() + 20
        messages = []
        while not messages and time.monotonic() < deadline:
            messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", [])
        told = json.loads(json.loads(messages[0]["Body"])["Message"])
        described = glacier.describe_job(vaultName=VAULT, jobId=job)
        equal({key: told[key] for key in described if key != "ResponseMetadata"}, {key: value for key, value in described.items() if key != "ResponseMetadata"})
        glacier.delete_vault_notifications(vaultName=VAULT)
        refused("ResourceNotFoundException", glacier.get_vault_notifications, vaultName=VAULT)
    finally:
        sns.delete_topic(TopicArn=topic)
        sqs.delete_queue(QueueUrl=queue)


@prove(
    "retrieve an archive by job: not before its time, whole and by range, with the tree hashes of both",
    "InitiateJob",
    "DescribeJob",
    "ListJobs",
    "GetJobOutput",
)
def retrieve():
    parameters = {"Type": "archive-retrieval", "ArchiveId": made["whole"], "Description": "for Ann"}
    started = glacier.initiate_job(vaultName=VAULT, jobParameters=parameters)
    job = started["jobId"]
    equal(started["location"], f"/{ACCOUNT}/vaults/{VAULT}/jobs/{job}")
    advance("PT4H59M")
    described = glacier.describe_job(vaultName=VAULT, jobId=job)
    equal((described["StatusCode"], described["Completed"], described["Tier"]), ("InProgress", False, "Standard"))
    equal(described["ArchiveSHA256TreeHash"], tree_hash(WHOLE))
    message = refused("InvalidParameterValueException", glacier.get_job_output, vaultName=VAULT, jobId=job)
    equal(message, f"The job is not currently available for download: {job}")
    advance("PT1M")
    done = [one["JobId"] for page in glacier.get_paginator("list_jobs").paginate(vaultName=VAULT, statuscode="Succeeded") for one in page["JobList"]]
    equal(job in done, True, "job among those that succeeded")
    output = glacier.get_job_output(vaultName=VAULT, jobId=job)
    equal(output["body"].read() == WHOLE, True, "bytes")
    equal((output["status"], output["checksum"], output["archiveDescription"]), (200, tree_hash(WHOLE), 'in one, "quoted"'))
    part = glacier.get_job_output(vaultName=VAULT, jobId=job, range=f"bytes={4 * MIB}-{len(WHOLE) - 1}")
    equal(part["body"].read() == WHOLE[4 * MIB :], True, "bytes of the range")
    equal((part["status"], part["checksum"]), (206, tree_hash(WHOLE[4 * MIB :])))
    equal(part["contentRange"], f"bytes {4 * MIB}-{len(WHOLE) - 1}/{len(WHOLE)}")
    odd = glacier.get_job_output(vaultName=VAULT, jobId=job, range="bytes=7-1000")
    equal((odd["body"].read() == WHOLE[7:1001], "checksum" in odd), (True, False), "a range that is no node of the tree")
    refused("InvalidParameterValueException", glacier.initiate_job, vaultName=VAULT, jobParameters={**parameters, "Type": "select"})


@prove("fetch an output by a presigned URL with a client that cannot sign", "GetJobOutput")
def presigned():
    jobs = glacier.list_jobs(vaultName=VAULT, statuscode="Succeeded")["JobList"]
    job = next(one["JobId"] for one in jobs if one.get("ArchiveId") == made["whole"])
    parameters = {"accountId": "-", "vaultName": VAULT, "jobId": job, "range": "bytes=0-99"}
    url = glacier.generate_presigned_url("get_job_output", Params=parameters, ExpiresIn=60)
    headers = {"x-amz-glacier-version": "2012-06-01", "Range": "bytes=0-99"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as reply:
        equal((reply.status, reply.read() == WHOLE[:100]), (206, True))
    try:
        urllib.request.urlopen(urllib.request.Request(url.replace(job, "x" * 92), headers=headers))
    except urllib.error.HTTPError as error:
        equal((error.code, json.load(error)["code"]), (403, "InvalidSignatureException"))
    else:
        raise AssertionError("a URL that was changed is answered")


@prove("an inventory after a day: JSON in pages, by date, and CSV", "InitiateJob", "GetJobOutput", "DescribeJob")
def inventory():
    advance("P1D")

    def fetch(**more):
        job = glacier.initiate_job(vaultName=VAULT, jobParameters={"Type": "inventory-retrieval", **more})["jobId"]
        advance("PT4H")
        return job, glacier.get_job_output(vaultName=VAULT, jobId=job)["body"].read().decode()

    first_job, first = fetch(InventoryRetrievalParameters={"Limit": "1"})
    described = glacier.describe_job(vaultName=VAULT, jobId=first_job)
    equal(described["InventorySizeInBytes"], len(first), "size of the inventory")
    marker = described["InventoryRetrievalParameters"]["Marker"]
    _, second = fetch(InventoryRetrievalParameters={"Limit": "5", "Marker": marker})
    archives = json.loads(first)["ArchiveList"] + json.loads(second)["ArchiveList"]
    listed = {one["ArchiveId"]: (one["Size"], one["SHA256TreeHash"], one["ArchiveDescription"]) for one in archives}
    expected = {
        made["whole"]: (len(WHOLE), tree_hash(WHOLE), 'in one, "quoted"'),
        made["parts"]: (len(PARTS), tree_hash(PARTS), "in parts"),
    }
    equal(listed, expected, "the inventory")
    equal(json.loads(first)["VaultARN"], ARN)
    _, none = fetch(InventoryRetrievalParameters={"EndDate": "2001-01-01T00:00:00Z"})
    equal(json.loads(none)["ArchiveList"], [])
    _, csv = fetch(Format="CSV")
    equal(csv.splitlines()[0], "ArchiveId,ArchiveDescription,CreationDate,Size,SHA256TreeHash")
    equal(sorted(line.split(",")[0] for line in csv.splitlines()[1:]), sorted(expected))
    vault = glacier.describe_vault(vaultName=VAULT)
    equal((vault["NumberOfArchives"], vault["SizeInBytes"]), (2, len(WHOLE) + len(PARTS)))


@prove("an access policy that denies", "SetVaultAccessPolicy", "GetVaultAccessPolicy", "DeleteVaultAccessPolicy")
def access_policy():
    deny = {"Effect": "Deny", "Principal": "*", "Action": "glacier:DeleteArchive", "Resource": ARN}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    glacier.set_vault_access_policy(vaultName=VAULT, policy={"Policy": policy})
    equal(glacier.get_vault_access_policy(vaultName=VAULT)["policy"]["Policy"], policy)
    message = refused("AccessDeniedException", glacier.delete_archive, vaultName=VAULT, archiveId=made["parts"])
    equal("explicit deny" in message, True, message)
    glacier.delete_vault_access_policy(vaultName=VAULT)
    refused("ResourceNotFoundException", glacier.get_vault_access_policy, vaultName=VAULT)


@prove(
    "a vault lock: aborted, run out, completed, and in force",
    "InitiateVaultLock",
    "GetVaultLock",
    "AbortVaultLock",
    "CompleteVaultLock",
)
def vault_lock():
    deny = {
        "Sid": "deny-based-on-archive-age",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "glacier:DeleteArchive",
        "Resource": [ARN],
        "Condition": {"NumericLessThan": {"glacier:ArchiveAgeInDays": "365"}},
    }
    policy = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [deny]})}
    glacier.initiate_vault_lock(vaultName=VAULT, policy=policy)
    refused("AccessDeniedException", glacier.initiate_vault_lock, vaultName=VAULT, policy=policy)
    glacier.abort_vault_lock(vaultName=VAULT)
    refused("ResourceNotFoundException", glacier.get_vault_lock, vaultName=VAULT)
    late = glacier.initiate_vault_lock(vaultName=VAULT, policy=policy)["lockId"]
    equal(glacier.get_vault_lock(vaultName=VAULT)["State"], "InProgress")
    advance("PT24H")
    refused("ResourceNotFoundException", glacier.complete_vault_lock, vaultName=VAULT, lockId=late)
    lock = glacier.initiate_vault_lock(vaultName=VAULT, policy=policy)["lockId"]
    glacier.complete_vault_lock(vaultName=VAULT, lockId=lock)
    seen = glacier.get_vault_lock(vaultName=VAULT)
    equal((seen["State"], seen["Policy"]), ("Locked", policy["Policy"]))
    refused("AccessDeniedException", glacier.abort_vault_lock, vaultName=VAULT)
    refused("AccessDeniedException", glacier.delete_archive, vaultName=VAULT, archiveId=made["parts"])


@prove("a data retrieval policy that is enforced", "SetDataRetrievalPolicy", "GetDataRetrievalPolicy")
def retrieval_policy():
    equal(glacier.get_data_retrieval_policy()["Policy"]["Rules"][0]["Strategy"], "None")
    rule = {"Strategy": "BytesPerHour", "BytesPerHour": MIB}
    glacier.set_data_retrieval_policy(Policy={"Rules": [rule]})
    equal(glacier.get_data_retrieval_policy()["Policy"]["Rules"], [rule])
    parameters = {"Type": "archive-retrieval", "ArchiveId": made["whole"]}
    message = refused("PolicyEnforcedException", glacier.initiate_job, vaultName=VAULT, jobParameters=parameters)
    equal(message, "InitiateJob request denied by current data retrieval policy.")
    glacier.initiate_job(vaultName=VAULT, jobParameters={**parameters, "Tier": "Bulk"})
    glacier.set_data_retrieval_policy(Policy={"Rules": [{"Strategy": "None"}]})
    glacier.initiate_job(vaultName=VAULT, jobParameters=parameters)


@prove("buy capacity, two units at most", "PurchaseProvisionedCapacity", "ListProvisionedCapacity")
def capacity():
    bought = {glacier.purchase_provisioned_capacity()["capacityId"] for _ in range(2)}
    listed = glacier.list_provisioned_capacity()["ProvisionedCapacityList"]
    equal({unit["CapacityId"] for unit in listed}, bought)
    refused("LimitExceededException", glacier.purchase_provisioned_capacity)
    advance("P32D")
    equal(glacier.list_provisioned_capacity()["ProvisionedCapacityList"], [])


@prove("delete archives when the lock lets go, twice, then the vault a day later", "DeleteArchive", "DeleteVault")
def delete_archives():
    advance("P365D")
    for archive in (made["whole"], made["parts"], made["parts"]):
        glacier.delete_archive(vaultName=VAULT, archiveId=archive)
    message = refused("InvalidParameterValueException", glacier.delete_vault, vaultName=VAULT)
    equal(message, f"Vault not empty or recently written to: {ARN}")
    advance("P1D")
    glacier.delete_vault(vaultName=VAULT)
    refused("ResourceNotFoundException", glacier.describe_vault, vaultName=VAULT)
