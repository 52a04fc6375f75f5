/**
 * Proofs of possession: when somebody last decrypted a recipient's challenge, and until when that counts. An identity is
 * lost silently: a drive in a safe dies, a passphrase is forgotten. So a proof ends after a year (`keys.proofEvery`), and
 * whoever holds the identity shows it again. The warning comes before the end, for at the end production archives nothing
 * for the owner: keys that perhaps nobody opens must not be the only ones that records are sealed with.
 */
import { Temporal } from 'temporal-polyfill';
import { type Challenge, KEY_COLLECTIONS } from './documents.ts';
import type { KeyStore } from './key-store.ts';
import type { AdministratorProof } from './port.ts';
import { type Administrator, recipientDigest } from './recipients.ts';

/** How long before its end a proof is warned about: whoever travels, and the safe that two people open together, have that long. */
export const PROOF_WARNING_DAYS = 30;

const DAY_MS = 24 * 60 * 60 * 1_000;

/** When each administrator was proven, and until when that counts. `proofEvery` (ISO 8601) null: for good. One recipient under two names comes twice. */
export async function proofsOfAdministrators(
  store: KeyStore,
  administrators: readonly Administrator[],
  proofEvery: string | null,
): Promise<readonly AdministratorProof[]> {
  const challenges = store.first<Challenge>(KEY_COLLECTIONS.challenges);
  const proofs: AdministratorProof[] = [];
  for (const { name, recipient, recovery } of administrators) {
    const challenge = await challenges.get(recipientDigest(recipient));
    const provenAt = challenge?.recipient === recipient ? challenge.provenAt : null;
    const endsAt = provenAt === null || proofEvery === null ? null : endOf(provenAt, proofEvery);
    proofs.push({ name, recipient, recovery, provenAt, endsAt, state: stateOf(provenAt, endsAt, store.now()) });
  }
  return proofs;
}

/** In UTC: a year of the calendar after the proof. */
function endOf(provenAt: Date, proofEvery: string): Date {
  const proven = Temporal.Instant.fromEpochMilliseconds(provenAt.getTime()).toZonedDateTimeISO('UTC');
  return new Date(proven.add(Temporal.Duration.from(proofEvery)).epochMilliseconds);
}

function stateOf(provenAt: Date | null, endsAt: Date | null, now: Date): AdministratorProof['state'] {
  if (provenAt === null) return 'unproven';
  if (endsAt === null) return 'proven';
  if (endsAt <= now) return 'ended';
  return endsAt.getTime() - now.getTime() <= PROOF_WARNING_DAYS * DAY_MS ? 'ends-soon' : 'proven';
}
