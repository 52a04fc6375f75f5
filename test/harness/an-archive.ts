import { id } from '../../src/ids.ts';
import {
  ARCHIVE_VERSION,
  type ArchiveDocument,
  NO_OUTCOMES,
  type StoredFacts,
} from '../../src/ledger/archive-document.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import type { VaultLocation } from '../../src/vault/port.ts';
import { ACME } from './a-hold.ts';

const AT = new Date('2024-06-01T00:00:00Z');

export const LOCATION: VaultLocation = {
  installation: 'x0x0x0x0x0',
  key: id.vaultKey('cold'),
  backend: 'glacier',
  account: '-',
  region: 'eu-west-1',
  name: 'x-acme-north',
  prefix: '',
  owner: ACME.owner,
  customer: ACME.customer,
};

const STORED: StoredFacts = {
  vaultArchiveId: 'va1',
  bytes: 2_000,
  treeHash: 'ab'.repeat(32),
  at: AT,
  records: 2,
  recordBytes: 1_000,
  merkleRoot: 'cd'.repeat(32),
  manifestSha256: 'ef'.repeat(32),
  rosterPages: 1,
  oldestDueAt: new Date('2022-01-01T00:00:00Z'),
  triggerFrom: new Date('2020-01-01T00:00:00Z'),
  triggerTo: new Date('2020-01-02T00:00:00Z'),
};

/** An archive as the ledger has it: cleared, two records, due in 2029; where the fields do not say otherwise. */
export function anArchive(fields: Partial<Omit<ArchiveDocument, 'rev'>> = {}): Omit<ArchiveDocument, 'rev'> {
  return {
    _id: id.archive('a1'),
    v: ARCHIVE_VERSION,
    state: 'cleared',
    quarantinedFrom: null,
    quarantineReason: null,
    policy: 'chats',
    policyVersion: id.policyVersion('f'.repeat(64)),
    ...ACME,
    partition: partitionId(ACME.namespace, ACME.owner, ACME.customer),
    sequence: 1,
    verifyLevel: 'checksum',
    vault: LOCATION,
    plan: {
      after: null,
      bound: null,
      before: AT.getTime(),
      asOf: AT,
      records: 2,
      bytes: 1_000,
      reachedEnd: true,
      latestPurgeAt: new Date('2029-02-01T00:00:00Z'),
    },
    epoch: 0,
    lease: null,
    attempt: id.attempt('t1'),
    attemptCount: 1,
    stored: STORED,
    verifiedAt: AT,
    dueAt: new Date('2029-01-02T00:00:00Z'),
    outcomes: { ...NO_OUTCOMES, archived: 2, deleted: 2 },
    unfit: 0,
    rosterShrunk: true,
    purge: null,
    createdAt: AT,
    changedAt: AT,
    unaudited: [],
    ...fields,
  };
}
