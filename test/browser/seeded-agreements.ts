/** What people agreed on, for the console: exceptions in every standing, a version that comes, customers that leave; and children that stayed. */
import type { App } from '../../src/app.ts';
import type { Clock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { type ExceptionDocument, exceptions } from '../../src/ledger/exceptions.ts';
import { beginOffboarding, endOffboarding, offboardingId } from '../../src/ledger/offboardings.ts';
import { findOrphanLook, NO_ORPHANS, saveOrphanLook } from '../../src/ledger/orphan-looks.ts';
import { publishPolicy } from '../../src/ledger/policies.ts';
import { LEDGER_VERSION } from '../../src/ledger/versions.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { policyVersion } from '../../src/policy/policy.ts';

const DAY_MS = 86_400_000;
/** What the console must not show: it says how many there are. */
const CODES = ['c0de0fj0c0de0fj0c0de0f', 'c0de0fk1c0de0fk1c0de0f'];

/** Returns what must not be shown. */
export async function seedAgreements(
  { store }: App,
  chats: string,
  all: readonly ArchiveDocument[],
  clockAt: (days: number) => Clock,
): Promise<readonly string[]> {
  const now = clockAt(0).now().getTime();
  const at = (days: number) => new Date(now + days * DAY_MS);
  await exceptions(store).insertMany(seededExceptions(at));
  await publishComing(store, chats, clockAt(-1), at(6));
  await leave(store, all, clockAt);
  await seeChildren(store, all[0]?.namespace ?? id.namespace('data.chats'));
  return CODES;
}

async function seeChildren(store: App['store'], namespace: ArchiveDocument['namespace']): Promise<void> {
  const of = { policy: 'chats', namespace, collection: id.namespace(`${namespace}_messages`) };
  const look = await findOrphanLook(store, of);
  await saveOrphanLook(store, { ...look, since: { ...NO_ORPHANS, looked: 40, unknown: 3, foreign: 1 } });
}

function seededExceptions(at: (days: number) => Date): Omit<ExceptionDocument, 'rev'>[] {
  const exception = (name: string, of: Partial<ExceptionDocument>): Omit<ExceptionDocument, 'rev'> => ({
    _id: `exception-${name}`,
    v: LEDGER_VERSION,
    // Of nothing that is due: what the other tests count stays as it is.
    policy: 'tickets',
    effect: 'longer',
    active: 'P5Y',
    owner: null,
    customer: null,
    value: null,
    reason: 'a claim that is not settled',
    requestedBy: 'person:maria',
    from: null,
    until: at(300),
    state: 'granted',
    requestedAt: at(-40),
    graceMs: 7 * DAY_MS,
    approval: `approval-${name}-1`,
    grantedBy: ['person:kim'],
    grantedAt: at(-39),
    endedAt: null,
    endedBy: null,
    endReason: null,
    ...of,
  });
  const notGranted = { state: 'requested', approval: null, grantedBy: [], grantedAt: null } as const;
  const shorter = { effect: 'shorter', active: 'P90D' } as const;
  return [
    exception('in-force', { customer: id.customer('north') }),
    exception('values', {
      ...notGranted,
      owner: id.owner('acme'),
      value: { field: 'contact.email', codes: CODES, witness: 'w1tness' },
      reason: 'Subject <access> & "objection"',
    }),
    exception('waits', { ...notGranted, requestedAt: at(-2), owner: id.owner('acme'), until: null }),
    exception('later', { from: at(20), customer: id.customer('south') }),
    exception('grace', { ...shorter, grantedAt: at(-2), requestedAt: at(-3) }),
    exception('over', { until: at(-5) }),
    exception('ended', { state: 'ended', endedAt: at(-4), endedBy: 'person:kim', endReason: 'contract over' }),
    exception('withdrawn', { ...notGranted, state: 'withdrawn', requestedAt: at(-60) }),
  ];
}

async function publishComing(store: App['store'], text: string, clock: Clock, effectiveAt: Date): Promise<void> {
  const { loaded } = loadPolicy('chats.yaml', text.replace('active: 2 years', 'active: 18 months'));
  if (loaded === null) throw new Error('The policy that comes cannot be read.');
  const { policy } = loaded;
  await publishPolicy(store, clock, {
    name: policy.name,
    namespace: policy.dataset.collection,
    version: policyVersion(policy),
    policy: JSON.parse(JSON.stringify(policy)),
    by: 'person:maria',
    effectiveAt,
    approval: 'approval-policy-1',
  });
}

async function leave(
  store: App['store'],
  all: readonly ArchiveDocument[],
  clockAt: (days: number) => Clock,
): Promise<void> {
  const [first] = all;
  if (first === undefined) return;
  const { owner, customer } = first;
  const mine = all.filter((archive) => archive.owner === owner && archive.customer === customer);
  const order = (name: string) => ({
    ...{ owner, customer, export: `export-${name}`, manifestSha256: name.padEnd(64, '0') },
    ...{ reason: 'the contract has ended', saidBy: 'person:maria', approval: `approval-${name}` },
  });
  const gone = mine.filter(({ state }) => state === 'confirmed').map(({ _id }) => _id);
  const there = mine.filter(({ state }) => state === 'cleared').map(({ _id }) => _id);
  await beginOffboarding(store, clockAt(-30), { ...order('ea71ie8'), exportedArchives: gone, withoutArchives: [] });
  await beginOffboarding(store, clockAt(-3), {
    ...order('b0b'),
    exportedArchives: [...gone, ...there.slice(1)],
    withoutArchives: there.slice(0, 1),
  });
  const other = { ...order('d0e'), customer: id.customer('left') };
  await beginOffboarding(store, clockAt(-90), { ...other, exportedArchives: gone, withoutArchives: [] });
  await endOffboarding(store, clockAt(-60), offboardingId(other.export), 'done');
}
