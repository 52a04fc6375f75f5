/** Partitions: one document for each dataset, owner and customer, with the lease under which plans are made. */
import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { isMoraineError } from '../errors.ts';
import { type CustomerId, id, type Namespace, type OwnerId, type PartitionId, type WorkerId } from '../ids.ts';
import type { LeaseField } from './archive-document.ts';
import { claimLease, type HeldLease } from './leases.ts';
import type { LedgerDocument, Store, StoreCollection } from './store.ts';

export interface PartitionDocument extends LedgerDocument {
  readonly _id: PartitionId;
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly epoch: number;
  readonly lease: LeaseField | null;
}

export type PartitionLease = HeldLease<PartitionDocument>;

export function partitions(store: Store): StoreCollection<PartitionDocument> {
  return store.collection<PartitionDocument>('partitions');
}

/** The id of a partition: 24 hex digits of a hash over the three parts, each with its length, so that no two partitions share one. */
export function partitionId(namespace: Namespace, owner: OwnerId, customer: CustomerId): PartitionId {
  const hash = createHash('sha256');
  for (const part of [namespace, owner, customer]) hash.update(`${Buffer.byteLength(part)}:${part};`);
  return id.partition(hash.digest('hex').slice(0, 24));
}

/** Claims the planning lease, making the document at first use. */
export async function claimPartition(
  store: Store,
  of: { readonly namespace: Namespace; readonly owner: OwnerId; readonly customer: CustomerId },
  by: { readonly worker: WorkerId; readonly clock: Clock; readonly signal?: AbortSignal | undefined },
): Promise<PartitionLease> {
  const _id = partitionId(of.namespace, of.owner, of.customer);
  try {
    return await claimLease(store, partitions(store), _id, by);
  } catch (error) {
    if (!isMoraineError(error, 'ARCHIVE_UNKNOWN')) throw error;
    await partitions(store).insert({ _id, v: 1, ...of, epoch: 0, lease: null });
    return await claimLease(store, partitions(store), _id, by);
  }
}
