/** What opens archives on an administrator's machine: an identity, or a key of KMS with the administrator's own AWS credentials. */
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { unwrapArchiveKey } from '../keys/administrator.ts';
import { allKmsKeys } from '../keys/kms-config.ts';
import { AwsKmsOpening, openWithKms } from '../keys/kms-opening.ts';
import type { OpenKey } from '../lifecycle/export-customer.ts';
import { readIdentity } from './identity.ts';
import type { Session } from './session.ts';

export interface OpenerOptions {
  readonly identity?: string;
  readonly passphraseFile?: string;
  readonly kms?: true;
}

export const KMS_OPTION = [
  '--kms',
  "instead of an identity: the owner's key of AWS KMS, with your credentials",
] as const;

/** Throws USAGE unless it is one of both, IDENTITY_WRONG for a file that cannot be read or opened. */
export async function readOpener(session: Session, options: OpenerOptions): Promise<(owner: OwnerId) => OpenKey> {
  const { identity: file, kms } = options;
  if ((file === undefined) === (kms === undefined)) {
    throw new MoraineError('USAGE', 'Name one that opens archives: --identity FILE or --kms.');
  }
  const { config } = session;
  if (file === undefined) {
    const endpoints = new Map(allKmsKeys(config.kms).map(({ key, endpoint }) => [key, endpoint]));
    const opening = new AwsKmsOpening((key) => endpoints.get(key));
    return () => (wrapped) => openWithKms(wrapped, opening);
  }
  const identity = await readIdentity(session, { ...options, identity: file });
  return (owner) => (wrapped) => unwrapArchiveKey(wrapped, identity, config.owners.get(owner) ?? []);
}
