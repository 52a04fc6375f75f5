/** Approvals: one outcome whoever races, never by who asked, bound to what was shown, and nothing that cannot be read counts. */
import { beforeEach, describe, expect, test } from 'vitest';
import { grantApproval, isRightlyGranted, refuseApproval, useApproval } from '../../src/ledger/approval-decisions.ts';
import { type ApprovalDocument, isSamePerson } from '../../src/ledger/approval-document.ts';
import {
  type Asking,
  approvals,
  askApproval,
  getApproval,
  liveApprovals,
  liveApprovalsOf,
  waitingApprovals,
} from '../../src/ledger/approvals.ts';
import { verifyAudit } from '../../src/ledger/audit.ts';
import { LedgerWorld, watched } from '../harness/ledger-world.ts';

const DAY_MS = 86_400_000;
const FIFTY = Array.from({ length: 50 }, (_, at) => at);
let world: LedgerWorld;
beforeEach(async () => {
  world = await LedgerWorld.open();
});

const asking = (changes: Partial<Asking> = {}): Asking => ({
  kind: 'cap',
  subject: { policy: 'chats' },
  shown: { records: 5 },
  by: 'person:alice',
  validMs: 7 * DAY_MS,
  stages: [[]],
  ...changes,
});
const ask = (changes: Partial<Asking> = {}) => askApproval(world, asking(changes));
const grant = (id: string, by: string) => grantApproval(world, id, { by, asOf: null });
const refuse = (id: string, by: string) => refuseApproval(world, id, { by, reason: 'no' });
const use = (id: string, spendFor: string | null = null) => useApproval(world, id, { hash: null, spendFor });
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? 'none',
  );

async function tamper(id: string, changes: Partial<ApprovalDocument>): Promise<void> {
  const document = await getApproval(world.store, id);
  await approvals(world.store).replace({ ...document, ...changes });
}

describe('asking', () => {
  test('fifty at once for the same: one document, told once; another text is another one', async () => {
    const asked = await Promise.all(FIFTY.map(() => ask()));
    expect(new Set(asked.map(({ _id }) => _id)).size).toBe(1);
    expect((await world.told()).filter((line) => line === 'approval request outcome')).toHaveLength(1);
    const other = await ask({ shown: { records: 6 } });
    expect(other._id).not.toBe(asked[0]?._id);
    expect(await waitingApprovals(world.store)).toHaveLength(2);
  });

  test('the id begins with the hash of kind, subject and text', async () => {
    const ids = await Promise.all([
      ask(),
      ask({ kind: 'policy' }),
      ask({ subject: { policy: 'calls' } }),
      ask({ by: 'person:carol' }),
    ]);
    expect(ids.map(({ _id, hash }) => _id === `ap-${hash.slice(0, 16)}-1`)).toEqual([true, true, true, true]);
    expect(new Set(ids.map(({ hash }) => hash)).size).toBe(3);
  });

  test('what expired counts for nothing: the same again is another round, with nothing granted', async () => {
    const first = await ask();
    world.advance(7 * DAY_MS + 1);
    expect(await waitingApprovals(world.store)).toEqual([]);
    expect(await codeOf(grant(first._id, 'person:bob'))).toBe('APPROVAL_CLOSED');
    const second = await ask();
    expect(second).toMatchObject({ round: 2, state: 'requested', grants: [] });
    await grant(second._id, 'person:bob');
    world.advance(7 * DAY_MS);
    expect(await codeOf(use(second._id))).toBe('APPROVAL_CLOSED');
    expect((await ask()).round).toBe(3);
  });

  test('the time to use a grant is counted from the grant', async () => {
    const { _id } = await ask();
    world.advance(6 * DAY_MS);
    await grant(_id, 'person:bob');
    world.advance(7 * DAY_MS - 1);
    expect(await use(_id)).toMatchObject({ approval: _id, grantedBy: ['person:bob'] });
  });
});

describe('deciding', () => {
  test.each(['person:alice', 'person:Alice', ' PERSON:ALICE ', 'alice', 'worker:host-1', 'person:'])(
    '%j, asked for by person:alice, cannot grant',
    async (by) => {
      const { _id } = await ask();
      expect(await codeOf(grant(_id, by))).toBe('APPROVAL_NOT_ALLOWED');
      expect(await getApproval(world.store, _id)).toMatchObject({ state: 'requested', grants: [] });
      expect(await codeOf(use(_id))).toBe('APPROVAL_CLOSED');
    },
  );

  test('names are one person whatever their case and form', () => {
    expect(isSamePerson('person:ZOË', 'person:zoe\u0308')).toBe(true);
    expect(isSamePerson('person:alice', 'person:alicia')).toBe(false);
  });

  test('fifty grant at once: one grant, one outcome in the chain, and the chain holds', async () => {
    const { _id } = await ask();
    const codes = await Promise.all(FIFTY.map((at) => codeOf(grant(_id, `person:bob${at}`))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    expect(codes.filter((code) => code === 'APPROVAL_CLOSED')).toHaveLength(49);
    expect((await getApproval(world.store, _id)).grants).toHaveLength(1);
    expect((await world.told()).filter((line) => line === 'approval grant outcome')).toHaveLength(1);
    expect(await verifyAudit(world.store)).toMatchObject({ ok: true });
  });

  test('grant and refuse race fifty times: exactly one of them is the outcome, for both', async () => {
    const seen = new Set<string>();
    for (const at of FIFTY) {
      const { _id } = await ask({ shown: { records: at } });
      const both =
        at % 2 === 0
          ? [refuse(_id, 'person:carol'), grant(_id, 'person:bob')]
          : [grant(_id, 'person:bob'), refuse(_id, 'person:carol')];
      const codes = await Promise.all(both.map(codeOf));
      expect(codes.sort()).toEqual(['APPROVAL_CLOSED', 'done']);
      const { state } = await getApproval(world.store, _id);
      seen.add(state);
      expect(await codeOf(use(_id))).toBe(state === 'granted' ? 'done' : 'APPROVAL_CLOSED');
    }
    expect([...seen].sort()).toEqual(['granted', 'refused']);
  });

  test('a refusal is final: never granted, never asked anew, not even after years; who asked may refuse', async () => {
    const { _id } = await ask();
    await refuse(_id, 'person:alice');
    expect(await codeOf(grant(_id, 'person:bob'))).toBe('APPROVAL_CLOSED');
    world.advance(3000 * DAY_MS);
    expect(await ask({ by: 'person:dora' })).toMatchObject({ _id, state: 'refused', refusalReason: 'no' });
    expect(await codeOf(use(_id))).toBe('APPROVAL_CLOSED');
  });

  test('only those who are listed decide', async () => {
    const { _id } = await ask({ stages: [['bob', 'Carol']] });
    expect(await codeOf(grant(_id, 'person:dora'))).toBe('APPROVAL_NOT_ALLOWED');
    expect(await codeOf(refuse(_id, 'person:dora'))).toBe('APPROVAL_NOT_ALLOWED');
    expect(await codeOf(grant(_id, 'person:carol'))).toBe('done');
  });

  test('stages: in order, one person of each list, nobody twice', async () => {
    const { _id } = await ask({ stages: [['bob', 'carol'], ['carol', 'dora'], []] });
    expect(await codeOf(grant(_id, 'person:dora'))).toBe('APPROVAL_NOT_ALLOWED');
    await grant(_id, 'person:carol');
    // Listed in the second stage, too: once is once.
    expect((await grant(_id, 'person:CAROL')).grants).toHaveLength(1);
    expect(await codeOf(use(_id))).toBe('APPROVAL_CLOSED');
    await grant(_id, 'person:dora');
    expect((await grant(_id, 'person:bob')).state).toBe('granted');
    expect(await use(_id)).toMatchObject({ grantedBy: ['person:carol', 'person:dora', 'person:bob'] });
  });

  test('stages: fifty times two who race for one stage: one passes it, the other is closed out or next', async () => {
    for (const at of FIFTY) {
      const { _id } = await ask({ shown: { records: at }, stages: [['bob', 'carol'], ['dora']] });
      const codes = await Promise.all(['bob', 'carol', 'dora'].map((name) => codeOf(grant(_id, `person:${name}`))));
      const { grants } = await getApproval(world.store, _id);
      expect(grants.length).toBe(codes.filter((code) => code === 'done').length);
      expect(grants.filter(({ by }) => by !== 'person:dora')).toHaveLength(1);
    }
  });
});

describe('using', () => {
  test('fifty acts come for one grant that is spent: one gets the proof; the same act gets it again', async () => {
    const { _id } = await ask();
    await grant(_id, 'person:bob');
    const codes = await Promise.all(FIFTY.map((at) => codeOf(use(_id, `run-${at}`))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    const { spentFor } = await getApproval(world.store, _id);
    expect(spentFor).toBe(`run-${codes.indexOf('done')}`);
    expect(await codeOf(use(_id, spentFor))).toBe('done');
    expect(await codeOf(use(_id))).toBe('APPROVAL_CLOSED');
    expect((await ask()).round).toBe(2);
  });

  test('for something else, or a document that says what nobody could have written in order: not approved', async () => {
    const { _id, hash } = await ask();
    await tamper(_id, { state: 'granted' });
    expect(await codeOf(use(_id))).toBe('INTERNAL');
    await tamper(_id, { state: 'granted', grants: [{ by: 'person:Alice', at: world.serverTime(), asOf: null }] });
    expect(await codeOf(use(_id))).toBe('INTERNAL');
    await tamper(_id, { grants: [{ by: 'person:bob', at: world.serverTime(), asOf: null }] });
    expect(await codeOf(useApproval(world, _id, { hash: 'f'.repeat(64), spendFor: null }))).toBe('INTERNAL');
    expect(await codeOf(useApproval(world, _id, { hash, spendFor: null }))).toBe('done');
    const { shown } = await getApproval(world.store, _id);
    await tamper(_id, { shown: shown.replace('5', '9') });
    expect(await codeOf(use(_id))).toBe('INTERNAL');
    expect(isRightlyGranted(await getApproval(world.store, _id))).toBe(false);
    expect(await codeOf(grant(_id, 'person:carol'))).toBe('INTERNAL');
  });

  test('cut between the decision and its audit entry: whoever uses it puts it in first', async () => {
    const { _id } = await ask();
    let writes = 0;
    const cut = watched(world.store, (collection, call) => {
      if (collection === 'approvals' && call === 'replace') writes += 1;
    });
    const audit = {
      appendOnce: async (...entries: Parameters<typeof world.audit.appendOnce>) => {
        if (writes > 0) throw new Error('cut');
        await world.audit.appendOnce(...entries);
      },
    };
    const broken = Object.assign(Object.create(world.audit), audit);
    await expect(grantApproval({ store: cut, audit: broken }, _id, { by: 'person:bob', asOf: null })).rejects.toThrow(
      'cut',
    );
    expect(await world.told()).not.toContain('approval grant outcome');
    await use(_id, 'run-1');
    expect((await world.told()).slice(-2)).toEqual(['approval grant outcome', 'approval use outcome']);
  });

  test("a newer Moraine's document, and a ledger that is away: not approved, and lists still show it", async () => {
    const { _id } = await ask();
    await grant(_id, 'person:bob');
    await tamper(_id, { v: 2, state: 'requested' });
    expect(await codeOf(use(_id))).toBe('LEDGER_NEWER');
    expect(await codeOf(ask())).toBe('LEDGER_NEWER');
    expect(await codeOf(liveApprovals(world.store, 'cap', { policy: 'chats' }))).toBe('LEDGER_NEWER');
    expect(await waitingApprovals(world.store)).toHaveLength(1);
    const away = watched(world.store, () => {
      throw new Error('away');
    });
    await expect(
      useApproval({ ...world, store: away, audit: world.audit }, _id, { hash: null, spendFor: null }),
    ).rejects.toThrow('away');
  });

  test('a document of the version before is read', async () => {
    const { _id } = await ask();
    await grant(_id, 'person:bob');
    await tamper(_id, { v: 0 });
    expect(await codeOf(use(_id))).toBe('done');
  });
});

test('live ones are found by subject and by item; expired and spent ones are not', async () => {
  const one = await ask({ kind: 'purge', items: ['a1', 'a2'] });
  await ask({ kind: 'purge', subject: { policy: 'calls' }, items: ['a3'] });
  expect((await liveApprovals(world.store, 'purge', { policy: 'chats' })).map(({ _id }) => _id)).toEqual([one._id]);
  expect(await liveApprovals(world.store, 'cap', { policy: 'chats' })).toEqual([]);
  expect(await liveApprovalsOf(world.store, 'purge', ['a1', 'a2', 'a3', 'a4'])).toHaveLength(2);
  expect(await liveApprovalsOf(world.store, 'purge', ['a4'])).toEqual([]);
  world.advance(8 * DAY_MS);
  expect(await liveApprovalsOf(world.store, 'purge', ['a1'])).toEqual([]);
  expect(await liveApprovals(world.store, 'purge', { policy: 'chats' })).toEqual([]);
});
