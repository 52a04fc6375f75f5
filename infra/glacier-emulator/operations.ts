import { deleteArchive, uploadArchive } from './archive-operations.ts';
import type { Call, Reply } from './call.ts';
import { notImplemented } from './errors.ts';
import { describeJob, getJobOutput, initiateJob, listJobs } from './job-operations.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  initiateMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadMultipartPart,
} from './multipart-operations.ts';
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

/** The 33 operations of the service, those first that work here. */
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

  missing('GetVaultAccessPolicy', 'GET', `${VAULT}/access-policy`),
  missing('SetVaultAccessPolicy', 'PUT', `${VAULT}/access-policy`),
  missing('DeleteVaultAccessPolicy', 'DELETE', `${VAULT}/access-policy`),
  missing('GetVaultNotifications', 'GET', `${VAULT}/notification-configuration`),
  missing('SetVaultNotifications', 'PUT', `${VAULT}/notification-configuration`),
  missing('DeleteVaultNotifications', 'DELETE', `${VAULT}/notification-configuration`),
  missing('InitiateVaultLock', 'POST', `${VAULT}/lock-policy`),
  missing('GetVaultLock', 'GET', `${VAULT}/lock-policy`),
  missing('AbortVaultLock', 'DELETE', `${VAULT}/lock-policy`),
  missing('CompleteVaultLock', 'POST', `${VAULT}/lock-policy/:lockId`),
  missing('GetDataRetrievalPolicy', 'GET', '/:account/policies/data-retrieval'),
  missing('SetDataRetrievalPolicy', 'PUT', '/:account/policies/data-retrieval'),
  missing('ListProvisionedCapacity', 'GET', '/:account/provisioned-capacity'),
  missing('PurchaseProvisionedCapacity', 'POST', '/:account/provisioned-capacity'),
];

function missing(name: string, method: Operation['method'], path: string): Operation {
  return { name, method, path, body: 'json', run: () => Promise.reject(notImplemented(name)) };
}
