/** A small world in memory whose tickets have comments: what the tests of children share. */
import { BSON } from 'bson';
import { expect } from 'vitest';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import type { openIdentity } from '../../src/keys/identity-file.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { type RestoreReport, restoreArchive } from '../../src/lifecycle/restore.ts';
import { requestRetrieval } from '../../src/lifecycle/retrieve.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { AttachmentShape, ChildShape } from '../../src/source/port.ts';
import { idBytesOf } from '../../src/source/raw-document.ts';
import { publishText } from '../harness/publish-policy.ts';
import { MemoryWorld } from './memory-world.ts';

export const TICKETS = id.namespace('data.tickets');
export const COMMENTS = id.namespace('data.comments');
export const RUN_AT = '2024-06-01T00:00:00Z';

export const COMMENT_RULE: ChildShape = {
  collection: COMMENTS,
  key: 'ticket',
  parent: '_id',
  customer: { field: 'tenant' },
};

const YAML = `
policy: tickets
zone: UTC
dataset: { collection: data.tickets, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: VERIFY, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;

const DELETING = `
policy: tickets
zone: UTC
dataset: { collection: data.tickets, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: delete
limits: { records: 1000, share: 1.0 }
`;

export interface Family {
  readonly world: MemoryWorld;
  readonly policy: Policy;
}

export async function openFamily(
  options: {
    readonly verify?: 'inventory';
    readonly recipient?: string;
    readonly rule?: Partial<ChildShape>;
    readonly attachments?: readonly AttachmentShape[];
    readonly without?: 'archive';
  } = {},
): Promise<Family> {
  const world = await MemoryWorld.open(options.recipient);
  const yaml = options.without === 'archive' ? DELETING : YAML.replace('VERIFY', options.verify ?? 'checksum');
  const { loaded } = loadPolicy('policy.yaml', yaml);
  if (loaded === null) throw new Error('The policy of the family does not load.');
  const dataset = {
    ...loaded.policy.dataset,
    children: [{ ...COMMENT_RULE, ...options.rule }],
    ...(options.attachments === undefined ? {} : { attachments: options.attachments }),
  };
  return { world, policy: await publishText(world.store, world.clock, yaml, { dataset }) };
}

export function ticket(_id: string, more: BSON.Document = {}): BSON.Document {
  return { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01T00:00:00Z'), ...more };
}

export function comment(_id: string, of: unknown, more: BSON.Document = {}): BSON.Document {
  return { _id, ticket: of, tenant: 'north', text: `of ${String(of)}`, ...more };
}

export function putTicket({ world }: Family, document: BSON.Document): void {
  world.source.put(TICKETS, BSON.serialize(document));
}

export function putComment({ world }: Family, document: BSON.Document): void {
  world.source.put(COMMENTS, BSON.serialize(document));
}

export function removeComment({ world }: Family, _id: string): void {
  world.source.remove(COMMENTS, idBytesOf(BSON.serialize({ _id })));
}

export function idsOf({ world }: Family, namespace: typeof TICKETS): string[] {
  return world.source
    .all(namespace)
    .map((raw) => String(BSON.deserialize(raw)['_id']))
    .sort();
}

/** All that an archive gives back, by collection. */
export async function restored(
  { world }: Family,
  context: Context,
  archive: ArchiveDocument,
  identity: Awaited<ReturnType<typeof openIdentity>>,
): Promise<{ readonly report: RestoreReport; readonly found: Readonly<Record<string, readonly Uint8Array[]>> }> {
  await requestRetrieval(context, archive._id, 'standard');
  world.vault.advance(6);
  const found: Record<string, Uint8Array[]> = {};
  const into = (collection: string) => async (records: readonly Uint8Array[]) => {
    found[collection] = [...(found[collection] ?? []), ...records.map((raw) => Uint8Array.from(raw))];
    return { inserted: records.length, existing: 0 };
  };
  const report = await restoreArchive(
    context,
    archive._id,
    (wrapped) => unwrapArchiveKey(wrapped, identity),
    {
      write: into('records'),
      unit: {
        write: (collection, children) => into(collection)(children),
        attachment: async ({ ordinal }, parts) => {
          for await (const part of parts) await into(`file ${ordinal}`)([part]);
          return 'inserted';
        },
      },
      finish: async () => undefined,
      discard: async () => undefined,
    },
    'files',
  );
  return { report, found };
}

export function idsIn(raws: readonly Uint8Array[] | undefined): string[] {
  return (raws ?? []).map((raw) => String(BSON.deserialize(raw)['_id'])).sort();
}

/** Promise 1 for children: one that is missing is in a verified archive that can be opened, or was never ours to lose. */
export async function assertNothingIsOpen({ world }: Family): Promise<void> {
  await world.assertNothingIsOpen();
  expect(await world.all('unitPages'), 'unitPages').toEqual([]);
}
