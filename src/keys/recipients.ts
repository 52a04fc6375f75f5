/**
 * Who can open an owner's archives: the recipients of its administrators, and whether they suffice (design 7).
 *
 * Promise 8: what is wrapped here opens with an administrator's identity only; nothing in this file can open it.
 */
import { createHash } from 'node:crypto';
import { Encrypter } from 'age-encryption';
import type { Environment } from '../environment.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';

export interface Administrator {
  readonly name: string;
  /** `age1…` (X25519) or `age1pq1…` (hybrid post-quantum). */
  readonly recipient: string;
  /** Kept offline, for the day when the others are lost. */
  readonly recovery: boolean;
  /** The account under which this administrator may ask for retrievals without showing an identity. */
  readonly account?: string | undefined;
}

/** A production owner needs this many different recipients: one lost key must not be the end of its archives. */
const PRODUCTION_RECIPIENTS = 2;

const PROVE_AGAIN = 'Prove again with `moraine administrator prove --identity FILE`.';

const POST_QUANTUM = 'age1pq1';

/** What is wrong with a recipient, as "expected …" text for a configuration error; null when it can be used. */
export function recipientProblem(recipient: string): string | null {
  const expected = 'an age recipient (age1…, or age1pq1… for the hybrid post-quantum kind)';
  // Recipients of hardware plug-ins are refused: Moraine's own commands could not open what is wrapped for them.
  if (!recipient.startsWith('age1') || recipient.startsWith('age1tag')) return expected;
  try {
    new Encrypter().addRecipient(recipient);
    return null;
  } catch {
    return `${expected} without a typing error: its checksum is wrong`;
  }
}

/** A short stand-in for a recipient in ids and messages; a post-quantum one has 1,959 characters. */
export function recipientDigest(recipient: string): string {
  return createHash('sha256').update(recipient).digest('hex').slice(0, 32);
}

/** `alice@acme.example (age1abcdefgh…)` for each recipient; one that no administrator has any more is shown alone. */
export function nameRecipients(recipients: readonly string[], administrators: readonly Administrator[]): string {
  return recipients
    .map((recipient) => {
      const name = administrators.find((each) => each.recipient === recipient)?.name;
      const shown = recipient.length > 20 ? `${recipient.slice(0, 16)}…` : recipient;
      return name === undefined ? shown : `${name} (${shown})`;
    })
    .join(', ');
}

/** Whether a recipient is proven, and of a proof that is about to end, or has, when. */
export type ProofAnswer = boolean | { readonly endsAt: Date; readonly hasEnded: boolean };

/**
 * Whether an owner's administrators suffice. Returns warnings; throws OWNER_WITHOUT_ADMINISTRATOR with every reason.
 * `isProven` answers for a recipient whether somebody has decrypted a challenge with its identity, and not too long ago. A key of KMS (`hasKms`)
 * counts for one recipient, never for the recovery one: who loses the AWS account loses it too.
 */
export function assessAdministrators(
  owner: OwnerId,
  administrators: readonly Administrator[],
  environment: Environment,
  isProven: (recipient: string) => ProofAnswer,
  hasKms = false,
): readonly string[] {
  const recipients = distinctRecipients(administrators);
  const unproven: string[] = [];
  const ended: string[] = [];
  const ending: string[] = [];
  for (const recipient of recipients) {
    const answer = isProven(recipient);
    if (answer === false) unproven.push(recipient);
    if (typeof answer !== 'object') continue;
    const named = `${nameRecipients([recipient], administrators)} on ${answer.endsAt.toISOString().slice(0, 10)}`;
    (answer.hasEnded ? ended : ending).push(named);
  }
  const reasons: string[] = [];
  const warnings: string[] = [];
  const needed = hasKms ? PRODUCTION_RECIPIENTS - 1 : PRODUCTION_RECIPIENTS;
  if (recipients.length === 0 && !hasKms) {
    reasons.push('moraine.yaml names no administrator');
  } else if (environment === 'production') {
    if (recipients.length < needed) {
      const beside = hasKms ? ' beside its key of KMS' : '';
      reasons.push(`production needs ${needed} different recipients${beside}, there is ${recipients.length}`);
    }
    if (!administrators.some((each) => each.recovery)) reasons.push('none of them is marked `recovery: true`');
    if (unproven.length > 0) reasons.push(`not proven: ${nameRecipients(unproven, administrators)}`);
    if (ended.length > 0) reasons.push(`the proof has ended of ${ended.join(', ')}`);
  } else {
    if (recipients.length === 0) {
      warnings.push(`Owner ${owner} has a key of KMS and no recipient: when that key is lost, its archives are lost.`);
    }
    if (recipients.length === 1 && !hasKms) {
      warnings.push(`Owner ${owner} has one administrator: when that identity is lost, its archives are lost.`);
    }
    if (unproven.length > 0) {
      warnings.push(`Owner ${owner} has unproven recipients: ${nameRecipients(unproven, administrators)}.`);
    }
  }
  if (ended.length > 0) warnings.push(`Owner ${owner}: the proof has ended of ${ended.join(', ')}. ${PROVE_AGAIN}`);
  if (ending.length > 0) warnings.push(`Owner ${owner}: the proof ends of ${ending.join(', ')}. ${PROVE_AGAIN}`);
  const postQuantum = recipients.filter((recipient) => recipient.startsWith(POST_QUANTUM)).length;
  if (postQuantum > 0 && postQuantum < recipients.length) {
    warnings.push(
      `Owner ${owner} mixes post-quantum and classic recipients: its keys are as strong as the classic ones.`,
    );
  }
  if (reasons.length > 0) {
    throw new MoraineError(
      'OWNER_WITHOUT_ADMINISTRATOR',
      `Nothing is archived for owner ${owner}: ${reasons.join('; ')}.`,
      { ids: { owner } },
    );
  }
  return warnings;
}

export function distinctRecipients(administrators: readonly Administrator[]): readonly string[] {
  return [...new Set(administrators.map((each) => each.recipient))];
}

/** An age file (binary) that any one of the recipients' identities opens. */
export async function wrapFor(recipients: readonly string[], bytes: Uint8Array): Promise<Uint8Array> {
  if (recipients.length === 0) throw new MoraineError('INTERNAL', 'Nothing is ever wrapped for nobody.');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter.encrypt(bytes);
}
