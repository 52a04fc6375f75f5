import {
  getDataRetrievalPolicy,
  listProvisionedCapacity,
  purchaseProvisionedCapacity,
  setDataRetrievalPolicy,
} from './account-operations.ts';
import { deleteArchive, uploadArchive } from './archive-operations.ts';
import type { Call, Reply } from './call.ts';
import { describeJob, getJobOutput, initiateJob, listJobs } from './job-operations.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  initiateMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadMultipartPart,
} from './multipart-operations.ts';
import { deleteVaultNotifications, getVaultNotifications, setVaultNotifications } from './notification-operations.ts';
import {
  abortVaultLock,
  completeVaultLock,
  deleteVaultAccessPolicy,
  getVaultAccessPolicy,
  getVaultLock,
  initiateVaultLock,
  setVaultAccessPolicy,
} from './policy-operations.ts';
import {
  changeTags,
  createVault,
  deleteVault,
  describeVault,
  listTagsForVault,
  listVaults,
} from './vault-operations.ts';

export type Operation = {
  name: string;
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  /** Two operations share a path; the value of `operation` in the query tells them apart. */
  queryOperation?: string;
  /** What the body is: nothing, a small JSON document, or bytes that are stored as they come. */
  body: 'none' | 'json' | 'stream';
  run: (call: Call) => Promise<Reply>;
};

const VAULT = '/:account/vaults/:vault';
const UPLOADS = `${VAULT}/multipart-uploads`;
const JOBS = `${VAULT}/jobs`;
const ACCESS = `${VAULT}/access-policy`;
const LOCK = `${VAULT}/lock-policy`;
const NOTIFICATIONS = `${VAULT}/notification-configuration`;
const RETRIEVAL = '/:account/policies/data-retrieval';
const CAPACITY = '/:account/provisioned-capacity';

/** The 33 operations of the service. */
export const operations: readonly Operation[] = [
  { name: 'ListVaults', method: 'GET', path: '/:account/vaults', body: 'none', run: listVaults },
  { name: 'CreateVault', method: 'PUT', path: VAULT, body: 'none', run: createVault },
  { name: 'DescribeVault', method: 'GET', path: VAULT, body: 'none', run: describeVault },
  { name: 'DeleteVault', method: 'DELETE', path: VAULT, body: 'none', run: deleteVault },
  { name: 'ListTagsForVault', method: 'GET', path: `${VAULT}/tags`, body: 'none', run: listTagsForVault },
  {
    name: 'AddTagsToVault',
    method: 'POST',
    path: `${VAULT}/tags`,
    queryOperation: 'add',
    body: 'json',
    run: changeTags,
  },
  {
    name: 'RemoveTagsFromVault',
    method: 'POST',
    path: `${VAULT}/tags`,
    queryOperation: 'remove',
    body: 'json',
    run: changeTags,
  },
  { name: 'UploadArchive', method: 'POST', path: `${VAULT}/archives`, body: 'stream', run: uploadArchive },
  { name: 'DeleteArchive', method: 'DELETE', path: `${VAULT}/archives/:archiveId`, body: 'none', run: deleteArchive },
  { name: 'InitiateMultipartUpload', method: 'POST', path: UPLOADS, body: 'none', run: initiateMultipartUpload },
  { name: 'ListMultipartUploads', method: 'GET', path: UPLOADS, body: 'none', run: listMultipartUploads },
  {
    name: 'UploadMultipartPart',
    method: 'PUT',
    path: `${UPLOADS}/:uploadId`,
    body: 'stream',
    run: uploadMultipartPart,
  },
  {
    name: 'CompleteMultipartUpload',
    method: 'POST',
    path: `${UPLOADS}/:uploadId`,
    body: 'none',
    run: completeMultipartUpload,
  },
  { name: 'ListParts', method: 'GET', path: `${UPLOADS}/:uploadId`, body: 'none', run: listParts },
  {
    name: 'AbortMultipartUpload',
    method: 'DELETE',
    path: `${UPLOADS}/:uploadId`,
    body: 'none',
    run: abortMultipartUpload,
  },
  { name: 'InitiateJob', method: 'POST', path: JOBS, body: 'json', run: initiateJob },
  { name: 'ListJobs', method: 'GET', path: JOBS, body: 'none', run: listJobs },
  { name: 'DescribeJob', method: 'GET', path: `${JOBS}/:jobId`, body: 'none', run: describeJob },
  { name: 'GetJobOutput', method: 'GET', path: `${JOBS}/:jobId/output`, body: 'none', run: getJobOutput },
  { name: 'GetVaultAccessPolicy', method: 'GET', path: ACCESS, body: 'none', run: getVaultAccessPolicy },
  { name: 'SetVaultAccessPolicy', method: 'PUT', path: ACCESS, body: 'json', run: setVaultAccessPolicy },
  { name: 'DeleteVaultAccessPolicy', method: 'DELETE', path: ACCESS, body: 'none', run: deleteVaultAccessPolicy },
  { name: 'InitiateVaultLock', method: 'POST', path: LOCK, body: 'json', run: initiateVaultLock },
  { name: 'GetVaultLock', method: 'GET', path: LOCK, body: 'none', run: getVaultLock },
  { name: 'AbortVaultLock', method: 'DELETE', path: LOCK, body: 'none', run: abortVaultLock },
  { name: 'CompleteVaultLock', method: 'POST', path: `${LOCK}/:lockId`, body: 'none', run: completeVaultLock },
  { name: 'GetVaultNotifications', method: 'GET', path: NOTIFICATIONS, body: 'none', run: getVaultNotifications },
  { name: 'SetVaultNotifications', method: 'PUT', path: NOTIFICATIONS, body: 'json', run: setVaultNotifications },
  {
    name: 'DeleteVaultNotifications',
    method: 'DELETE',
    path: NOTIFICATIONS,
    body: 'none',
    run: deleteVaultNotifications,
  },
  { name: 'GetDataRetrievalPolicy', method: 'GET', path: RETRIEVAL, body: 'none', run: getDataRetrievalPolicy },
  { name: 'SetDataRetrievalPolicy', method: 'PUT', path: RETRIEVAL, body: 'json', run: setDataRetrievalPolicy },
  { name: 'ListProvisionedCapacity', method: 'GET', path: CAPACITY, body: 'none', run: listProvisionedCapacity },
  {
    name: 'PurchaseProvisionedCapacity',
    method: 'POST',
    path: CAPACITY,
    body: 'none',
    run: purchaseProvisionedCapacity,
  },
];

/** What policies may allow and deny. */
export const actions: readonly string[] = operations.map(({ name }) => `glacier:${name}`);
