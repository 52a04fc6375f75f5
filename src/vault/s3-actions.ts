/** The calls of the S3 backend and their IAM actions, as "Actions, resources, and condition keys for Amazon S3" of the service authorization reference has them. */
import type { BackendActions } from './vault-actions.ts';

const WRITE_KEY = ['kms:GenerateDataKey'] as const;
/** Parts are encrypted under the data key of the upload, which is opened for each. */
const PART_KEY = ['kms:Decrypt', 'kms:GenerateDataKey'] as const;
const READ_KEY = ['kms:Decrypt'] as const;

/** Of every look at a bucket, and of what is read before the first write of a process. */
const LAYOUT = [
  'GetPublicAccessBlock',
  'GetBucketVersioning',
  'GetObjectLockConfiguration',
  'GetBucketEncryption',
  'GetBucketOwnershipControls',
  'GetBucketPolicy',
  'GetBucketLifecycleConfiguration',
] as const;
const MAKE = [
  'CreateBucket',
  'PutPublicAccessBlock',
  'PutBucketOwnershipControls',
  'PutBucketEncryption',
  'PutBucketVersioning',
  'PutBucketTagging',
] as const;

export const S3_ACTIONS: BackendActions = {
  methods: {
    serverTime: { calls: ['ListBuckets'] },
    ensure: { calls: ['HeadBucket', 'GetBucketTagging', ...MAKE, ...LAYOUT], rarely: ['ListObjectVersions'] },
    inspect: { calls: ['HeadBucket', 'GetBucketTagging', ...LAYOUT] },
    vaultCount: { calls: [] },
    foundVaults: { calls: ['ListBuckets', 'GetBucketTagging', 'ListObjectVersions'] },
    storeWhole: { calls: ['PutObject'], rarely: ['HeadObject'] },
    beginUpload: { calls: ['CreateMultipartUpload'] },
    sendPart: { calls: ['UploadPart'] },
    completeUpload: { calls: ['ListParts', 'CompleteMultipartUpload'], rarely: ['HeadObject'] },
    abortUpload: { calls: ['AbortMultipartUpload'] },
    listUploads: { calls: ['ListMultipartUploads'] },
    lockUntil: { calls: ['PutObjectRetention'] },
    mirrorHold: { calls: ['PutObjectLegalHold'] },
    requestInventory: { calls: [] },
    inventoryState: { calls: ['HeadBucket'] },
    readInventory: { calls: ['ListObjectVersions', 'HeadObject'] },
    requestRetrieval: { calls: ['RestoreObject'], rarely: ['HeadObject'] },
    findRetrieval: { calls: ['HeadObject'] },
    retrievalState: { calls: ['HeadObject'] },
    readRetrieval: { calls: ['GetObject'] },
    deleteArchive: { calls: ['ListObjectVersions', 'DeleteObject'] },
    deleteAbandoned: { calls: ['ListObjectVersions', 'DeleteObject'] },
  },
  calls: {
    ListBuckets: { scope: 'account', actions: ['s3:ListAllMyBuckets'] },
    HeadBucket: { scope: 'vault', actions: ['s3:ListBucket'] },
    GetBucketTagging: { scope: 'vault', actions: ['s3:GetBucketTagging'] },
    CreateBucket: {
      scope: 'vault',
      actions: ['s3:CreateBucket', 's3:PutBucketOwnershipControls'],
      withLock: ['s3:PutBucketObjectLockConfiguration', 's3:PutBucketVersioning'],
      onlyToMake: true,
    },
    PutPublicAccessBlock: { scope: 'vault', actions: ['s3:PutBucketPublicAccessBlock'], onlyToMake: true },
    PutBucketOwnershipControls: { scope: 'vault', actions: ['s3:PutBucketOwnershipControls'], onlyToMake: true },
    PutBucketEncryption: { scope: 'vault', actions: ['s3:PutEncryptionConfiguration'], onlyToMake: true },
    PutBucketVersioning: { scope: 'vault', actions: ['s3:PutBucketVersioning'], onlyToMake: true },
    PutBucketTagging: { scope: 'vault', actions: ['s3:PutBucketTagging'], onlyToMake: true },
    GetPublicAccessBlock: { scope: 'vault', actions: ['s3:GetBucketPublicAccessBlock'] },
    GetBucketVersioning: { scope: 'vault', actions: ['s3:GetBucketVersioning'] },
    GetObjectLockConfiguration: { scope: 'vault', actions: ['s3:GetBucketObjectLockConfiguration'] },
    GetBucketEncryption: { scope: 'vault', actions: ['s3:GetEncryptionConfiguration'] },
    GetBucketOwnershipControls: { scope: 'vault', actions: ['s3:GetBucketOwnershipControls'] },
    GetBucketPolicy: { scope: 'vault', actions: ['s3:GetBucketPolicy'] },
    GetBucketLifecycleConfiguration: { scope: 'vault', actions: ['s3:GetLifecycleConfiguration'] },
    ListObjectVersions: { scope: 'vault', actions: ['s3:ListBucketVersions'] },
    ListMultipartUploads: { scope: 'vault', actions: ['s3:ListBucketMultipartUploads'] },
    PutObject: { scope: 'object', actions: ['s3:PutObject'], withKms: WRITE_KEY },
    CreateMultipartUpload: { scope: 'object', actions: ['s3:PutObject'], withKms: PART_KEY },
    UploadPart: { scope: 'object', actions: ['s3:PutObject'], withKms: PART_KEY },
    CompleteMultipartUpload: { scope: 'object', actions: ['s3:PutObject'], withKms: PART_KEY },
    ListParts: { scope: 'object', actions: ['s3:ListMultipartUploadParts'] },
    AbortMultipartUpload: { scope: 'object', actions: ['s3:AbortMultipartUpload'] },
    // The metadata of an object are read with the right to read it; there is no smaller one.
    HeadObject: {
      scope: 'object',
      actions: ['s3:GetObject', 's3:GetObjectVersion'],
      withLock: ['s3:GetObjectLegalHold', 's3:GetObjectRetention'],
      withKms: READ_KEY,
    },
    GetObject: { scope: 'object', actions: ['s3:GetObject', 's3:GetObjectVersion'], withKms: READ_KEY },
    RestoreObject: { scope: 'object', actions: ['s3:RestoreObject'] },
    DeleteObject: { scope: 'object', actions: ['s3:DeleteObjectVersion'] },
    // An earlier date, in governance mode, takes s3:BypassGovernanceRetention as well: for a role of a person, not here.
    PutObjectRetention: { scope: 'object', actions: ['s3:PutObjectRetention'] },
    PutObjectLegalHold: { scope: 'object', actions: ['s3:PutObjectLegalHold'] },
  },
};
