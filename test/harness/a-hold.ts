import { id } from '../../src/ids.ts';
import type { HoldDocument } from '../../src/ledger/holds.ts';

/** A hold as the ledger has it; on everything, where the fields do not say less. */
export function aHold(fields: Partial<Omit<HoldDocument, 'rev'>> = {}): Omit<HoldDocument, 'rev'> {
  return {
    _id: 'hold-1',
    v: 1,
    state: 'active',
    caseNumber: 'C-1',
    reason: 'a claim',
    placedBy: 'person:test',
    placedAt: new Date('2024-01-01T00:00:00Z'),
    activeAt: null,
    tooLate: [],
    releasedBy: null,
    releasedAt: null,
    releaseReason: null,
    heldUntil: null,
    owner: null,
    customer: null,
    namespace: null,
    triggerFrom: null,
    triggerBefore: null,
    recordKeys: null,
    facet: null,
    ...fields,
  };
}

export const ACME = { owner: id.owner('acme'), customer: id.customer('north'), namespace: id.namespace('data.chats') };
