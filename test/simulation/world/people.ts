/** Who can open what: administrators with real identities, made once for all lives. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { id, type OwnerId } from '../../../src/ids.ts';
import { type AdministratorIdentity, openIdentity } from '../../../src/keys/administrator.ts';
import type { Challenge, HmacKey } from '../../../src/keys/documents.ts';
import { type Administrator, recipientDigest } from '../../../src/keys/recipients.ts';
import type { MemoryStore } from '../../../src/ledger/memory-store.ts';

export interface OwnerKeys {
  readonly administrators: readonly Administrator[];
  /** `AGE-SECRET-KEY-1…` of the first of them. */
  readonly identities: readonly string[];
  readonly identity: AdministratorIdentity;
}

/** Signs certificates and manifests of all lives. */
export const SIGNING_KEY_PEM = generateKeyPairSync('ed25519')
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();

const made = new Map<string, Promise<OwnerKeys>>();

export function keysOf(owner: string): Promise<OwnerKeys> {
  const known = made.get(owner);
  if (known !== undefined) return known;
  const fresh = makeKeys(owner);
  made.set(owner, fresh);
  return fresh;
}

async function makeKeys(owner: string): Promise<OwnerKeys> {
  const secret = await generateX25519Identity();
  const safe = await generateX25519Identity();
  const administrators = [
    { name: `alice@${owner}.example`, recipient: await identityToRecipient(secret), recovery: false },
    { name: 'safe', recipient: await identityToRecipient(safe), recovery: true },
  ];
  return { administrators, identities: [secret], identity: await openIdentity(Buffer.from(secret)) };
}

/** As after `administrator prove`, and with the owner's HMAC key there: its order would else change from run to run. */
export async function settleOwner(keyStore: MemoryStore, owner: string, createdAt: Date): Promise<void> {
  const { administrators } = await keysOf(owner);
  for (const { recipient } of administrators) {
    await keyStore.collection<Challenge>('challenges').insert({
      _id: recipientDigest(recipient),
      v: 1,
      recipient,
      challenge: Buffer.from('opened long ago'),
      answerSha256: createHash('sha256').update(recipient).digest('hex'),
      provenAt: createdAt,
    });
  }
  await keyStore.collection<HmacKey>('hmacKeys').insert({
    _id: owner,
    v: 1,
    key: createHash('sha256').update(`the HMAC key of ${owner}`).digest(),
    createdAt,
  });
}

export function ownerIds(owners: readonly string[]): ReadonlySet<OwnerId> {
  return new Set(owners.map(id.owner));
}
