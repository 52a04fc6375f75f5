/** Approvals on any store: whoever races, one request, one outcome, one use, and a chain that tells each once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { grantApproval, refuseApproval, useApproval } from '../../src/ledger/approval-decisions.ts';
import {
  type Asking,
  approvals,
  askApproval,
  getApproval,
  liveApprovals,
  liveApprovalsOf,
} from '../../src/ledger/approvals.ts';
import { AuditLog, auditEntries, verifyAudit } from '../../src/ledger/audit.ts';
import type { PreparedStore } from '../../src/ledger/indexes.ts';
import { LEDGER_INDEXES } from '../../src/ledger/ledger-indexes.ts';

const FIFTY = Array.from({ length: 50 }, (_, at) => at);
const ASKING: Asking = {
  kind: 'purge',
  subject: { policy: 'chats', owner: 'acme' },
  shown: { purge: [{ archive: 'a1', records: 5 }], note: 'Zoë' },
  by: 'person:alice',
  validMs: 3_600_000,
  stages: [[], ['dora']],
  items: ['a1', 'a2'],
};

export function approvalsContract(name: string, open: () => Promise<PreparedStore>) {
  describe(`approvals on ${name}`, () => {
    let store: PreparedStore;
    /** As many processes as there are actors: each has a chain of its own to append to. */
    const as = (actor: string) => ({ store, audit: new AuditLog(store, systemClock, { actor }) });
    const settled = async (all: readonly Promise<unknown>[]) =>
      (await Promise.allSettled(all)).filter(({ status }) => status === 'fulfilled').length;
    const told = async (act: string) => {
      let count = 0;
      for await (const entry of auditEntries(store)) if (entry.act === act && entry.phase === 'outcome') count += 1;
      return count;
    };

    beforeEach(async () => {
      store = await open();
      await store.ensureIndexes(LEDGER_INDEXES);
    });

    it('fifty ask for the same, fifty decide, fifty use it: one each, and the chain holds', async () => {
      const asked = await Promise.all(FIFTY.map(() => askApproval(as('person:alice'), ASKING)));
      const [{ _id } = { _id: '' }] = asked;
      expect(new Set(asked.map((one) => one._id)).size).toBe(1);
      expect(await approvals(store).count({})).toBe(1);

      const first = FIFTY.map((at) => grantApproval(as(`person:b${at}`), _id, { by: `person:b${at}`, asOf: null }));
      // The second stage is for one person, who did not grant the first: nobody else gets through.
      expect(await settled(first)).toBe(1);
      const both = [
        grantApproval(as('person:dora'), _id, { by: 'person:dora', asOf: null }),
        ...FIFTY.slice(10).map((at) => refuseApproval(as(`person:c${at}`), _id, { by: `person:c${at}`, reason: 'no' })),
      ];
      expect(await settled(both)).toBe(1);
      const { state, grants } = await getApproval(store, _id);
      expect(grants).toHaveLength(state === 'granted' ? 2 : 1);
      expect(await told('approval request')).toBe(1);
      expect(await told('approval grant')).toBe(grants.length);
      expect(await told('approval refuse')).toBe(state === 'refused' ? 1 : 0);

      const used = FIFTY.map((at) => useApproval(as('person:alice'), _id, { hash: null, spendFor: `run-${at}` }));
      expect(await settled(used)).toBe(state === 'granted' ? 1 : 0);
      expect(await told('approval use')).toBe(state === 'granted' ? 1 : 0);
      expect(await verifyAudit(store)).toMatchObject({ ok: true });
    });

    it('is found by what it is about and by each of its items, and reads back as it was written', async () => {
      const asked = await askApproval(as('person:alice'), ASKING);
      expect(await getApproval(store, asked._id)).toEqual(asked);
      expect(await liveApprovals(store, 'purge', ASKING.subject)).toEqual([asked]);
      expect(await liveApprovals(store, 'purge', { policy: 'chats' })).toEqual([]);
      for (const items of [['a1'], ['a2', 'a9'], ['a1', 'a2']])
        expect(await liveApprovalsOf(store, 'purge', items)).toEqual([asked]);
      expect(await liveApprovalsOf(store, 'purge', ['a9'])).toEqual([]);
      expect(await liveApprovalsOf(store, 'cap', ['a1'])).toEqual([]);
    });
  });
}
