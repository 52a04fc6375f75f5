/**
 * Where an owner's and a customer's archives live: pure functions from ids to names.
 *
 * Promise 9 rests on these: two different pairs of owner and customer never get the same vault, bucket or prefix. Ids
 * are escaped reversibly; a name that would be too long for the service is cut and ends in a SHA-256 of the ids, behind
 * a mark that no escaped name contains, so that cut and whole names never meet either. Tags carry the ids as well, and
 * `ensure` compares them: two installations that share a prefix are told apart there.
 */
import { createHash } from 'node:crypto';
import { MoraineError } from '../errors.ts';
import type { CustomerId, OwnerId } from '../ids.ts';

/** Amazon Glacier, "Create Vault": 1 to 255 of a-z, A-Z, 0-9, '_', '-' and '.'. */
const VAULT_NAME_MAX = 255;
/** Amazon S3, "Bucket naming rules": 3 to 63 of a-z, 0-9 and '-' (dots break TLS with virtual hosts, so none). */
const BUCKET_NAME_MAX = 63;
/** S3 keys hold 1,024 bytes; what is left names archive and attempt. */
const KEY_PREFIX_MAX = 700;
/** Tag values hold 256 characters in both services. */
const TAG_VALUE_MAX = 256;
/** The hash behind a cut bucket name has 128 bits, for 63 characters leave no room for more: 25 digits to the base 36. */
const BUCKET_HASH_BITS = 128;
const BUCKET_HASH_DIGITS = 25;
/** A bucket template must leave this much room for the owner: the mark and the hash. */
const BUCKET_OWNER_ROOM = BUCKET_HASH_DIGITS + 2;

/** How much of the installation's id names its vaults, unless moraine.yaml gives a prefix. */
const INSTALLATION_CHARACTERS = 8;

/** `prefix.owner.customer`; over 255 characters it is cut and ends in `..` and a hash. */
export function vaultName(prefix: string, owner: OwnerId, customer: CustomerId): string {
  const whole = `${prefix}.${escapeId(owner)}.${escapeId(customer)}`;
  return fit(whole, VAULT_NAME_MAX, [owner, customer]);
}

/** The owner and customer that a vault name spells; null when the name was cut (then the tags have to say it) or is not one of ours. */
export function partiesOfVaultName(name: string): { readonly owner: string; readonly customer: string } | null {
  const parts = name.split('.');
  const [, ownerPart, customerPart] = parts;
  if (parts.length !== 3 || !ownerPart || !customerPart) return null;
  const owner = unescapeId(ownerPart);
  const customer = unescapeId(customerPart);
  return owner === null || customer === null ? null : { owner, customer };
}

export function defaultVaultPrefix(installation: string): string {
  return escapeId(installation.slice(0, INSTALLATION_CHARACTERS));
}

/** The bucket of an owner: the template with `{owner}` (escaped to lower case letters, digits and `-`) and `{installation}` filled in. */
export function bucketName(template: string, installation: string, owner: OwnerId): string {
  const frame = template.replaceAll('{installation}', escapeForBucket(installation.slice(0, INSTALLATION_CHARACTERS)));
  const room = BUCKET_NAME_MAX - (frame.length - '{owner}'.length);
  if (room < BUCKET_OWNER_ROOM) {
    throw new MoraineError('CONFIG_INVALID', `The bucket template "${template}" leaves no room for the owner's name.`);
  }
  return frame.replace('{owner}', () => bucketOwner(owner, room));
}

/** Why a bucket template cannot be used, or null. */
export function bucketTemplateFault(template: string): string | null {
  if (template.split('{owner}').length !== 2) return 'must contain {owner} exactly once: owners never share a bucket';
  const fixed = template.replaceAll('{installation}', '00000000').replace('{owner}', '');
  if (!/^[a-z0-9-]*$/.test(fixed)) return 'may hold lower case letters, digits, "-", {owner} and {installation} only';
  if (!/^[a-z0-9]/.test(template)) return 'must begin with a lower case letter or digit';
  if (/--/.test(template) || /-$/.test(template)) return 'must not hold "--" or end with "-"';
  if (/^(xn-|sthree-|amzn-s3-demo-)/.test(template) || /-s3alias$/.test(template)) return 'is reserved by S3';
  if (BUCKET_NAME_MAX - fixed.length < BUCKET_OWNER_ROOM)
    return `is too long: ${BUCKET_NAME_MAX - BUCKET_OWNER_ROOM} characters besides {owner} at most`;
  return null;
}

/** The key prefix of a customer inside the bucket of its owner; ends with `/`. */
export function customerPrefix(customer: CustomerId): string {
  return `${fit(escapeId(customer), KEY_PREFIX_MAX, [customer])}/`;
}

/** The tags that say whose a vault or bucket is. */
export function ownershipTags(parties: {
  readonly installation: string;
  readonly owner: OwnerId;
  readonly customer: CustomerId | null;
}): Readonly<Record<string, string>> {
  return {
    'moraine-installation': tagValue(parties.installation),
    'moraine-owner': tagValue(parties.owner),
    ...(parties.customer === null ? {} : { 'moraine-customer': tagValue(parties.customer) }),
  };
}

/** An id as a tag value, by the same escape: both services allow its characters. */
export function tagValue(text: string): string {
  return fit(escapeId(text), TAG_VALUE_MAX, [text]);
}

/**
 * Letters, digits and `-` stay; every other character becomes `_` and two hex digits (ASCII) or `_u` and four, one for
 * each UTF-16 unit, so that every JavaScript string can be escaped and read back.
 */
export function escapeId(text: string): string {
  return text.replace(/[^A-Za-z0-9-]/gu, (character) => escapeUnits(character, '_'));
}

/** The inverse of {@link escapeId}; null for text that it never returns. */
export function unescapeId(text: string): string | null {
  return unescapeUnits(text, '_', /^[A-Za-z0-9-]$/);
}

/** Lower case letters and digits stay; the rest is escaped as in {@link escapeId} with `-` in the place of `_`. */
export function escapeForBucket(text: string): string {
  return text.replace(/[^a-z0-9]/gu, (character) => escapeUnits(character, '-'));
}

/** The inverse of {@link escapeForBucket}. */
export function unescapeFromBucket(text: string): string | null {
  return unescapeUnits(text, '-', /^[a-z0-9]$/);
}

/** Behind `-` an escaped owner has a hex digit or `u`, so `-h` marks the hash of a name that was cut. */
function bucketOwner(owner: OwnerId, room: number): string {
  const whole = escapeForBucket(owner);
  if (whole.length <= room) return whole;
  const readable = whole.slice(0, room - BUCKET_HASH_DIGITS - 2).replace(/-+$/, '');
  const hash = BigInt.asUintN(BUCKET_HASH_BITS, BigInt(`0x${hashOf([owner])}`));
  return `${readable}-h${hash.toString(36).padStart(BUCKET_HASH_DIGITS, '0')}`;
}

/** An id is never empty and `.` is escaped inside it, so `..` marks the hash of a name that was cut. */
function fit(whole: string, max: number, ids: readonly string[]): string {
  if (whole.length <= max) return whole;
  const end = `..${hashOf(ids)}`;
  return whole.slice(0, max - end.length) + end;
}

function hashOf(ids: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(ids)).digest('hex');
}

function escapeUnits(character: string, mark: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i += 1) {
    const unit = character.charCodeAt(i);
    escaped +=
      unit < 0x80 ? mark + unit.toString(16).padStart(2, '0') : `${mark}u${unit.toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

function unescapeUnits(text: string, mark: string, plain: RegExp): string | null {
  let result = '';
  for (let i = 0; i < text.length; ) {
    const character = text.charAt(i);
    if (character !== mark) {
      if (!plain.test(character)) return null;
      result += character;
      i += 1;
      continue;
    }
    const wide = text.charAt(i + 1) === 'u';
    const digits = wide ? text.slice(i + 2, i + 6) : text.slice(i + 1, i + 3);
    if (!(wide ? /^[0-9a-f]{4}$/ : /^[0-9a-f]{2}$/).test(digits)) return null;
    result += String.fromCharCode(Number.parseInt(digits, 16));
    i += wide ? 6 : 3;
  }
  return result;
}
