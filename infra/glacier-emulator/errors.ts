/**
 * The service's errors. Each reply is JSON `{ code, message, type }` with the status that the
 * service documents for that code ("Error Responses" in its API reference).
 */
export class GlacierError extends Error {
  readonly status: number;
  readonly code: string;
  readonly type: 'Client' | 'Server';

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = code;
    this.status = status;
    this.code = code;
    this.type = status >= 500 ? 'Server' : 'Client';
  }
}

export const invalidParameter = (message: string) => new GlacierError(400, 'InvalidParameterValueException', message);

export const missingParameter = (name: string) =>
  new GlacierError(400, 'MissingParameterValueException', `Required parameter missing: ${name}`);

export const limitExceeded = (message: string) => new GlacierError(400, 'LimitExceededException', message);

export const serialization = (message: string) => new GlacierError(400, 'SerializationException', message);

export const throttled = () => new GlacierError(400, 'ThrottlingException', 'Rate exceeded');

export const serviceUnavailable = () =>
  new GlacierError(500, 'ServiceUnavailableException', 'The service cannot complete the request. Please try again.');

export const accessDenied = (message: string) => new GlacierError(403, 'AccessDeniedException', message);

export const missingAuthentication = () =>
  new GlacierError(400, 'MissingAuthenticationTokenException', 'Missing Authentication Token');

export const unrecognizedClient = () =>
  new GlacierError(400, 'UnrecognizedClientException', 'The security token included in the request is invalid.');

export const invalidSignature = (reason: string) => new GlacierError(403, 'InvalidSignatureException', reason);

export const uploadTimedOut = () =>
  new GlacierError(408, 'RequestTimeoutException', 'The connection ended before the whole body had arrived.');

const notFound = (message: string) => new GlacierError(404, 'ResourceNotFoundException', message);

export const vaultNotFound = (arn: string) => notFound(`Vault not found for ARN: ${arn}`);
export const archiveNotFound = (id: string) => notFound(`The archive ID was not found: ${id}`);
export const uploadNotFound = (id: string) => notFound(`The upload ID was not found: ${id}`);
export const jobNotFound = (id: string) => notFound(`The job ID was not found: ${id}`);

/** A vault without a first inventory cannot be asked for one: nothing exists that the job could return. */
export const inventoryNotFound = (arn: string) =>
  notFound(`The initial inventory has not been generated yet for vault: ${arn}`);

/** What the service says of an archive id that belongs to another vault. */
export const archiveOfAnotherVault = (arn: string) => invalidParameter(`Invalid vault name: ${arn}`);

export const vaultNotEmpty = (arn: string) => invalidParameter(`Vault not empty or recently written to: ${arn}`);

export const outputNotAvailable = (id: string) =>
  invalidParameter(`The job is not currently available for download: ${id}`);

export const checksumMismatch = (expected: string, computed: string) =>
  invalidParameter(`Checksum mismatch: expected ${expected}, computed ${computed}`);

/** What a vault can have, and was not given, or was given and lost. The texts are the service's own. */
export const accessPolicyNotSet = (arn: string) => notFound(`No vault access policy is set for: ${arn}`);
export const lockPolicyNotSet = (arn: string) => notFound(`No vault lock policy is set for: ${arn}`);
export const notificationsNotSet = (arn: string) => notFound(`No notification configuration is set for vault: ${arn}`);

/** The service says no more than the first two sentences; why, is ours. */
export const invalidPolicy = (kind: string, reason: string) =>
  invalidParameter(`The specified ${kind} is invalid. Provide a valid policy. (${reason})`);

export const policyEnforced = () =>
  new GlacierError(400, 'PolicyEnforcedException', 'InitiateJob request denied by current data retrieval policy.');

export const insufficientCapacity = () =>
  new GlacierError(
    503,
    'InsufficientCapacityException',
    'There is insufficient capacity to process this expedited request.',
  );
