import { randomBytes, randomInt } from 'node:crypto';

/** What the service calls the account behind `-`. */
export const ACCOUNT = '012345678901';

export const vaultArn = (region: string, name: string) => `arn:aws:glacier:${region}:${ACCOUNT}:vaults/${name}`;

/** One id in this many begins with `-`: the service's do so now and then, and command lines trip over it. */
const DASH_EVERY = 8;

/** Archive ids have 138 URL-safe characters. */
export function newArchiveId(): string {
  const id = urlSafe(138);
  return randomInt(DASH_EVERY) === 0 ? `-${id.slice(1)}` : id;
}

export const isArchiveId = (text: string) => /^[A-Za-z0-9_-]{138}$/.test(text);

/** Upload and job ids have 92 URL-safe characters. */
export const newUploadId = () => urlSafe(92);
export const newJobId = () => urlSafe(92);

/** Lock ids and ids of capacity units, as long as those in the documentation's examples. */
export const newLockId = () => urlSafe(24);
export const newCapacityId = () => urlSafe(24);

export const newBodyName = () => urlSafe(32);

const urlSafe = (length: number) => randomBytes(length).toString('base64url').slice(0, length);
