import { z } from 'zod';
import { type Call, pathParameter, type Reply, vaultOf } from './call.ts';
import { accessDenied, accessPolicyNotSet, invalidParameter, lockPolicyNotSet, missingParameter } from './errors.ts';
import { newLockId } from './identifiers.ts';
import { readVaultPolicy } from './policy-document.ts';
import { KEPT_MS } from './vault.ts';

/** A vault's access policy and its vault lock. Both decide at once who may do what (`authorization.ts`). */

const bodySchema = z.object({ Policy: z.string().min(1) });

export async function setVaultAccessPolicy(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const accessPolicy = policyOf(call, vault.arn, 'vault access policy');
  await vault.change(() => ({ accessPolicy }));
  return { status: 204 };
}

export async function getVaultAccessPolicy(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const { accessPolicy } = vault.record;
  if (accessPolicy === null) throw accessPolicyNotSet(vault.arn);
  return { status: 200, body: { Policy: accessPolicy } };
}

/** Deleting again is no error. */
export async function deleteVaultAccessPolicy(call: Call): Promise<Reply> {
  await (await vaultOf(call)).change(() => ({ accessPolicy: null }));
  return { status: 204 };
}

export async function initiateVaultLock(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const policy = policyOf(call, vault.arn, 'vault lock policy');
  const id = newLockId();
  await vault.change((_record, nowMs) => {
    if (vault.lock !== null) throw accessDenied(`The vault lock is ${stateOf(vault.lock)} for vault: ${vault.arn}`);
    return { lock: { id, policy, createdAtMs: nowMs, lockedAtMs: null } };
  });
  return { status: 201, headers: { 'x-amz-lock-id': id } };
}

export async function getVaultLock(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const { lock } = vault;
  if (lock === null) throw lockPolicyNotSet(vault.arn);
  const expiresAtMs = lock.createdAtMs + KEPT_MS;
  return {
    status: 200,
    body: {
      CreationDate: new Date(lock.createdAtMs).toISOString(),
      ExpirationDate: lock.lockedAtMs === null ? new Date(expiresAtMs).toISOString() : null,
      Policy: lock.policy,
      State: stateOf(lock),
    },
  };
}

/** No error when there is nothing to abort; a lock that is complete stays for good. */
export async function abortVaultLock(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  await vault.change(() => {
    if (vault.lock !== null && vault.lock.lockedAtMs !== null) throw accessDenied(`The vault is locked: ${vault.arn}`);
    return { lock: null };
  });
  return { status: 204 };
}

/** Again with the same id is no error. */
export async function completeVaultLock(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  const id = pathParameter(call, 'lockId');
  await vault.change((_record, nowMs) => {
    const { lock } = vault;
    if (lock === null) throw lockPolicyNotSet(vault.arn);
    if (lock.id === id) return { lock: { ...lock, lockedAtMs: lock.lockedAtMs ?? nowMs } };
    if (lock.lockedAtMs !== null) throw accessDenied(`The vault is locked: ${vault.arn}`);
    throw invalidParameter(`The lock ID is not valid: ${id}`);
  });
  return { status: 204 };
}

function policyOf(call: Call, vaultArn: string, kind: string): string {
  const body = bodySchema.safeParse(call.json);
  if (!body.success) throw missingParameter('Policy');
  readVaultPolicy(body.data.Policy, vaultArn, call.actions, kind);
  return body.data.Policy;
}

const stateOf = (lock: { lockedAtMs: number | null }) => (lock.lockedAtMs === null ? 'InProgress' : 'Locked');
