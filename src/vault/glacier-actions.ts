/** The calls of the Glacier backend and their IAM actions, as "Actions, resources, and condition keys for Amazon S3 Glacier" of the service authorization reference has them. */
import type { BackendActions, CallActions } from './vault-actions.ts';

const onVault = (name: string): CallActions => ({ scope: 'vault', actions: [`glacier:${name}`] });
const toMake = (name: string): CallActions => ({ ...onVault(name), onlyToMake: true });

export const GLACIER_ACTIONS: BackendActions = {
  methods: {
    serverTime: { calls: ['ListVaults'] },
    ensure: { calls: ['ListTagsForVault', 'CreateVault', 'AddTagsToVault'], rarely: ['DescribeVault', 'ListVaults'] },
    inspect: { calls: ['ListTagsForVault'] },
    vaultCount: { calls: ['ListVaults'] },
    foundVaults: { calls: ['ListVaults', 'ListTagsForVault'] },
    storeWhole: { calls: ['UploadArchive'] },
    beginUpload: { calls: ['InitiateMultipartUpload'] },
    sendPart: { calls: ['UploadMultipartPart'] },
    completeUpload: { calls: ['CompleteMultipartUpload'] },
    abortUpload: { calls: ['AbortMultipartUpload'] },
    listUploads: { calls: ['ListMultipartUploads'] },
    // The lock of a Glacier vault is a policy of the vault: nothing is locked one by one.
    lockUntil: { calls: [] },
    mirrorHold: { calls: [] },
    requestInventory: { calls: ['InitiateJob'], rarely: ['DescribeVault'] },
    inventoryState: { calls: ['DescribeJob'], rarely: ['DescribeVault'] },
    readInventory: { calls: ['DescribeJob', 'GetJobOutput'] },
    requestRetrieval: { calls: ['InitiateJob'] },
    findRetrieval: { calls: ['ListJobs'] },
    retrievalState: { calls: ['DescribeJob'] },
    readRetrieval: { calls: ['GetJobOutput'], rarely: ['DescribeJob'] },
    deleteArchive: { calls: ['DeleteArchive'] },
    deleteAbandoned: { calls: ['DeleteArchive'] },
  },
  calls: {
    ListVaults: { scope: 'account', actions: ['glacier:ListVaults'] },
    ListTagsForVault: onVault('ListTagsForVault'),
    CreateVault: toMake('CreateVault'),
    AddTagsToVault: toMake('AddTagsToVault'),
    DescribeVault: onVault('DescribeVault'),
    UploadArchive: onVault('UploadArchive'),
    InitiateMultipartUpload: onVault('InitiateMultipartUpload'),
    UploadMultipartPart: onVault('UploadMultipartPart'),
    CompleteMultipartUpload: onVault('CompleteMultipartUpload'),
    AbortMultipartUpload: onVault('AbortMultipartUpload'),
    ListMultipartUploads: onVault('ListMultipartUploads'),
    InitiateJob: onVault('InitiateJob'),
    DescribeJob: onVault('DescribeJob'),
    GetJobOutput: onVault('GetJobOutput'),
    ListJobs: onVault('ListJobs'),
    DeleteArchive: onVault('DeleteArchive'),
  },
};
