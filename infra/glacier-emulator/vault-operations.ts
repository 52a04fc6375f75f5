import { z } from 'zod';
import { type Call, pathParameter, type Reply, vaultOf } from './call.ts';
import { invalidParameter, limitExceeded, missingParameter } from './errors.ts';
import { ACCOUNT } from './identifiers.ts';
import { lastInventory } from './inventory.ts';
import { page } from './limits.ts';
import type { Vault } from './vault.ts';

/** Vaults and their tags. */

const VAULTS_A_PAGE = 10;
/** The quota that was documented first; newer pages say 50. The stricter one shows mistakes earlier. */
const MOST_TAGS = 10;
const LONGEST_TAG_KEY = 128;
const LONGEST_TAG_VALUE = 256;
const TAG_TEXT = /^[\p{L}\p{N}\p{Z}_.:/=+@-]*$/u;

export async function listVaults(call: Call): Promise<Reply> {
  const { items, marker } = page(call.vaults.list(call.region), call.query, VAULTS_A_PAGE, (vault) => vault.arn);
  const list: Record<string, unknown>[] = [];
  for (const vault of items) {
    await vault.ready();
    list.push(describe(vault, call.clock.nowMs()));
  }
  return { status: 200, body: { Marker: marker, VaultList: list } };
}

export async function createVault(call: Call): Promise<Reply> {
  const name = pathParameter(call, 'vault');
  await call.vaults.create(call.region, name);
  return { status: 201, headers: { location: `/${ACCOUNT}/vaults/${name}` } };
}

export async function describeVault(call: Call): Promise<Reply> {
  return { status: 200, body: describe(await vaultOf(call), call.clock.nowMs()) };
}

export async function deleteVault(call: Call): Promise<Reply> {
  await call.vaults.delete(call.region, pathParameter(call, 'vault'));
  return { status: 204 };
}

export async function listTagsForVault(call: Call): Promise<Reply> {
  return { status: 200, body: { Tags: (await vaultOf(call)).record.tags } };
}

const addSchema = z.object({ Tags: z.record(z.string(), z.string()) });
const removeSchema = z.object({ TagKeys: z.array(z.string()) });

/** `AddTagsToVault` and `RemoveTagsFromVault` share a path; the query says which. */
export async function changeTags(call: Call): Promise<Reply> {
  const vault = await vaultOf(call);
  if (call.query.get('operation') === 'remove') {
    const body = removeSchema.safeParse(call.json);
    if (!body.success) throw missingParameter('TagKeys');
    const removed = new Set(body.data.TagKeys);
    await vault.change(({ tags }) => ({
      tags: Object.fromEntries(Object.entries(tags).filter(([key]) => !removed.has(key))),
    }));
  } else {
    const body = addSchema.safeParse(call.json);
    if (!body.success || Object.keys(body.data.Tags).length === 0) throw missingParameter('Tags');
    for (const [key, value] of Object.entries(body.data.Tags)) checkTag(key, value);
    await vault.change(({ tags }) => {
      const next = { ...tags, ...body.data.Tags };
      if (Object.keys(next).length > MOST_TAGS) throw limitExceeded(`A vault can have at most ${MOST_TAGS} tags`);
      return { tags: next };
    });
  }
  return { status: 204 };
}

/** Count and size are those of the last inventory, as the service has it. */
function describe(vault: Vault, nowMs: number): Record<string, unknown> {
  const inventory = lastInventory(vault.record, vault.archives.values(), nowMs);
  return {
    CreationDate: new Date(vault.record.createdAtMs).toISOString(),
    LastInventoryDate: inventory === null ? null : new Date(inventory.atMs).toISOString(),
    NumberOfArchives: inventory?.archives.length ?? 0,
    SizeInBytes: inventory?.bytes ?? 0,
    VaultARN: vault.arn,
    VaultName: vault.record.name,
  };
}

function checkTag(key: string, value: string): void {
  if (key.length === 0 || key.length > LONGEST_TAG_KEY || !TAG_TEXT.test(key) || /^aws:/i.test(key)) {
    throw invalidParameter(`Invalid tag key: ${key}`);
  }
  if (value.length > LONGEST_TAG_VALUE || !TAG_TEXT.test(value)) throw invalidParameter(`Invalid tag value: ${value}`);
}
