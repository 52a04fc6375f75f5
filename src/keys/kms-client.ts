/** How KMS is reached, and what its errors mean. By code and type, never by the text of a message. */
import { KMSClient, KMSServiceException } from '@aws-sdk/client-kms';
import { MoraineError } from '../errors.ts';
import { isLoopback } from '../vault/vault-config.ts';
import { type KmsConfig, regionOfKey } from './kms-config.ts';

/** Includes the first try. */
const MAX_ATTEMPTS = 3;
const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 20_000;
/** What an emulator on this machine takes: no secret. */
const LOCAL_CREDENTIALS = { accessKeyId: 'moraine', secretAccessKey: 'moraine-local' };

/** Opens no connection. Credentials: the SDK's own chain (environment, profile, role), but for an endpoint on this machine. */
export function kmsClient({ key, endpoint }: KmsConfig): KMSClient {
  return new KMSClient({
    region: regionOfKey(key),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(endpoint !== undefined && isLoopback(endpoint) ? { credentials: LOCAL_CREDENTIALS } : {}),
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
  });
}

/** The same call may do another time: nothing that KMS does for us changes anything. */
const PASSING = new Set([
  'ThrottlingException',
  'LimitExceededException',
  'KMSInternalException',
  'DependencyTimeoutException',
  'KeyUnavailableException',
]);
const NOT_OF_THIS_CONTEXT = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);

/** Runs a call of the SDK and throws what its error means. */
export async function translatingKms<Output>(what: string, key: string, call: () => Promise<Output>): Promise<Output> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Error) || error instanceof MoraineError) throw error;
    const text = (why: string) => `Could not ${what} with ${key}: ${why}.`;
    if (error.name === 'CredentialsProviderError') {
      throw new MoraineError('KMS_REFUSED', text('no AWS credentials were found'), { cause: error });
    }
    if (NOT_OF_THIS_CONTEXT.has(error.name)) {
      throw new MoraineError('KEY_MISSING', text(`${error.name}, it is damaged or another's`), { cause: error });
    }
    const status = error instanceof KMSServiceException ? (error.$metadata.httpStatusCode ?? 500) : 500;
    const isPassing = PASSING.has(error.name) || status >= 500 || status === 429;
    throw new MoraineError(isPassing ? 'KMS_UNAVAILABLE' : 'KMS_REFUSED', text(error.name), { cause: error });
  }
}
