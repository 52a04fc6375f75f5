/**
 * A ledger as it looks after some years of work, for tests of the console: every state, every outcome, overdue and due
 * purges, quarantine, retrievals, certificates with real signatures, and an audit chain that holds. Written through the
 * ledger's own functions where they exist; archives are put in as documents, for living through years of them would
 * take hours.
 */
import { createHash } from 'node:crypto';
import type { App } from '../../src/app.ts';
import type { Clock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import {
  ARCHIVE_VERSION,
  type ArchiveDocument,
  NO_OUTCOMES,
  type Outcomes,
} from '../../src/ledger/archive-document.ts';
import { archives } from '../../src/ledger/archives.ts';
import { AuditLog } from '../../src/ledger/audit.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { publishPolicy } from '../../src/ledger/policies.ts';
import { quarantineArchiveEntry, quarantineRecords } from '../../src/ledger/quarantine.ts';
import { markRetrievalReady } from '../../src/ledger/retrievals.ts';
import { endRun, startRun } from '../../src/ledger/runs.ts';
import { ARCHIVE_STATES, type ArchiveState } from '../../src/ledger/states.ts';
import { certifyPurge } from '../../src/lifecycle/certificate.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import { askedRetrieval } from '../harness/a-retrieval.ts';
import { seedAgreements } from './seeded-agreements.ts';

const DAY_MS = 86_400_000;

export interface SeededLedger {
  /** Names of the policies in force. */
  readonly policies: readonly string[];
  readonly archives: readonly ArchiveDocument[];
  readonly certificates: readonly string[];
  /** Bytes of the `_id`s of records in quarantine, and addresses in them: neither may be shown. */
  readonly secrets: readonly string[];
}

const OWNERS: Readonly<Record<string, readonly string[]>> = {
  acme: ['north', 'south', 'harbour-clinic'],
  globex: ['retail', 'wholesale'],
  initech: ['emea', 'apac', 'oid:65a1f0c2b4d8e9a1c2d3e4f5'],
};

/** `database`: collections of the policies are in it. */
export async function seedLedger(app: App, database: string, now: Date): Promise<SeededLedger> {
  const { store } = app;
  const texts = policyTexts(database);
  const policies = texts.map(read);
  const chain = new Chain(app, now);
  for (const policy of policies) {
    const clock = chain.at(-900);
    const version = policyVersion(policy);
    const json = JSON.parse(JSON.stringify(policy));
    const { name } = policy;
    await publishPolicy(store, clock, {
      name,
      namespace: policy.dataset.collection,
      version,
      policy: json,
      by: 'person:maria',
    });
    await chain.add(-900, 'person:maria', 'policy published', { policy: name }, { version });
  }
  const all = policies.flatMap((policy, p) =>
    Object.entries(OWNERS).flatMap(([owner, customers], o) =>
      customers.flatMap((customer, c) =>
        STATES.filter((_, s) => (p + o + c + s) % 3 !== 1).map((state, s) =>
          archiveOf({ app, policy, owner, customer, state, now, n: p * 100 + o * 30 + c * 10 + s, sequence: s + 1 }),
        ),
      ),
    ),
  );
  const ordered = all.toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  await archives(store).insertMany(ordered);
  for (const archive of ordered) await tellLife(chain, archive);
  const certificates = await certifyConfirmed(app, ordered);
  const secrets = await fillQuarantine(app, policies, ordered, now);
  await fillRuns(app, policies, now);
  await fillRetrievals(app, ordered, now);
  const codes = await seedAgreements(app, texts[0] ?? '', ordered, (days) => chain.at(days));
  return {
    policies: policies.map(({ name }) => name),
    archives: ordered,
    certificates,
    secrets: [...secrets, ...codes],
  };
}

/** Twelve for each customer, a third of them left out by turns. */
const STATES: readonly ArchiveState[] = [
  'confirmed',
  'confirmed',
  'cleared',
  'cleared',
  'cleared',
  'purged',
  'verified',
  'stored',
  'storing',
  'planned',
  'purging',
  'quarantined',
];

function policyTexts(database: string): readonly string[] {
  const dataset = (collection: string) => `dataset:
  collection: ${database}.${collection}
  owner: { field: owner }
  customer: { field: tenant }`;
  return [
    `policy: chats
zone: Europe/Amsterdam
${dataset('chats')}
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold, verify: inventory, dueWindow: 30 days, maxWait: 7 days }
grace: 7 days
limits: { records: 1000000, share: 0.05 }
schedule: "0 2 * * *"
`,
    `policy: calls
zone: Europe/London
${dataset('calls')}
trigger: { objectId: _id }
active: 1 year
then: archive
archive: { for: 2 years, vault: cold, verify: checksum, dueWindow: 2 weeks, maxWait: 3 days }
grace: 7 days
limits: { records: 2000000, share: 1.0 }
schedule: "0 3 * * *"
`,
    `policy: tickets
zone: Europe/Amsterdam
${dataset('tickets')}
trigger: { field: closedAt }
active: 18 months
then: archive
archive: { for: 5 years 6 months, vault: cold, verify: checksum }
grace: 2 weeks
limits: { records: 500000, share: 1.0 }
`,
  ];
}

function read(text: string): Policy {
  const result = loadPolicy('policy.yaml', text);
  if (result.loaded === null) throw new Error(JSON.stringify(result.problems));
  return result.loaded.policy;
}

interface Wanted {
  readonly app: App;
  readonly policy: Policy;
  readonly owner: string;
  readonly customer: string;
  readonly state: ArchiveState;
  readonly now: Date;
  /** Makes it different from the others, and the same in every run. */
  readonly n: number;
  readonly sequence: number;
}

/** How long ago it was planned (days), and when it is due for purge (days from now). */
const AGES: Readonly<Record<ArchiveState, readonly [plannedAgo: number, dueIn: number]>> = {
  planned: [0.1, 2_500],
  storing: [0.2, 2_400],
  stored: [1, 2_300],
  verified: [2, 2_200],
  cleared: [400, 12],
  purging: [800, -3],
  purged: [810, -9],
  confirmed: [850, -40],
  abandoned: [30, 2_000],
  quarantined: [20, 2_000],
};

function archiveOf({ app, policy, owner, customer, state, now, n, sequence }: Wanted): Omit<ArchiveDocument, 'rev'> & {
  rev: 0;
} {
  const [plannedAgo, dueIn] = AGES[state];
  const at = (days: number) => new Date(now.getTime() + days * DAY_MS);
  const planned = plannedAgo + (state === 'cleared' ? n : n / 100);
  const day = at(-planned).toISOString().slice(0, 10).replaceAll('-', '');
  const hash = (salt: string) =>
    createHash('sha256').update(`${salt}${n}${owner}${customer}${policy.name}`).digest('hex');
  const _id = id.archive(`${day}-${hash('id').slice(0, 10)}`);
  const records = 1_200 + ((n * 7_919) % 48_000);
  const isSealed = !['planned', 'storing', 'abandoned'].includes(state);
  const [ownerId, customerId] = [id.owner(owner), id.customer(customer)];
  const dueAt = isSealed ? at(state === 'cleared' ? dueIn + n * 9 - 40 : dueIn) : null;
  const isPurged = state === 'purged' || state === 'confirmed';
  return {
    _id,
    v: ARCHIVE_VERSION,
    rev: 0,
    state,
    quarantinedFrom: state === 'quarantined' ? 'stored' : null,
    quarantineReason:
      state === 'quarantined' ? 'A vault inventory later than the upload does not list it as it was stored.' : null,
    policy: policy.name,
    policyVersion: policyVersion(policy),
    namespace: policy.dataset.collection,
    owner: ownerId,
    customer: customerId,
    partition: partitionId(policy.dataset.collection, ownerId, customerId),
    sequence,
    verifyLevel: policy.archive?.verify ?? 'checksum',
    vault: {
      key: id.vaultKey('cold'),
      backend: 'glacier',
      account: '-',
      region: 'eu-west-1',
      name: `${app.installation.id.slice(0, 8)}-${owner}-${customer.replace(':', '.')}`,
      prefix: '',
      installation: app.installation.id,
      owner: ownerId,
      customer: customerId,
    },
    plan: {
      after: null,
      bound: null,
      before: at(-planned - 700).getTime(),
      asOf: at(-planned),
      records,
      bytes: records * 1_450,
      reachedEnd: true,
      latestPurgeAt: at(dueIn + 30),
    },
    epoch: 3,
    lease: null,
    attempt: isSealed ? id.attempt(hash('attempt').slice(0, 16)) : null,
    attemptCount: state === 'planned' ? 0 : 1 + (n % 2),
    stored: isSealed
      ? {
          vaultArchiveId: hash('vault') + hash('archive').slice(0, 74),
          bytes: Math.round(records * 410),
          treeHash: hash('tree'),
          at: at(-planned + 0.01),
          records,
          recordBytes: records * 1_450,
          merkleRoot: hash('merkle'),
          manifestSha256: hash('manifest'),
          rosterPages: Math.ceil(records / 1_000),
          oldestDueAt: at(-planned - 30),
          triggerFrom: at(-planned - 760),
          triggerTo: at(-planned - 730),
        }
      : null,
    verifiedAt: isSealed && state !== 'stored' && state !== 'quarantined' ? at(-planned + 0.4) : null,
    dueAt,
    outcomes: outcomesOf(state, records, n),
    unfit: 0,
    rosterShrunk: isPurged || state === 'cleared' || state === 'purging',
    purge:
      dueAt !== null && (isPurged || state === 'purging')
        ? {
            claimedDueAt: dueAt,
            asOf: at(-2),
            askedAt: at(-2),
            acceptedAt: isPurged ? at(-2) : null,
            keyDestroyedAt: isPurged ? at(-2) : null,
            confirmedByInventoryAt: state === 'confirmed' ? at(-1) : null,
            certificate: state === 'confirmed' ? _id : null,
          }
        : null,
    createdAt: at(-planned),
    changedAt: at(-Math.min(planned, 2)),
    unaudited: [],
  };
}

function outcomesOf(state: ArchiveState, records: number, n: number): Outcomes {
  if (['planned', 'storing'].includes(state)) return NO_OUTCOMES;
  if (['stored', 'verified', 'quarantined'].includes(state))
    return { ...NO_OUTCOMES, archived: records, pending: records };
  const changed = n % 7 === 0 ? 14 + n : n % 3;
  const gone = n % 5;
  const quarantined = n % 4 === 0 ? 1 : 0;
  return {
    ...NO_OUTCOMES,
    archived: records,
    deleted: records - changed - gone - quarantined,
    changed,
    gone,
    quarantined,
  };
}

/** Writes audit entries as if at an earlier time; the chain itself goes on in the order of writing. */
class Chain {
  readonly #app: App;
  readonly #now: Date;
  readonly #logs = new Map<string, AuditLog>();
  #at = 0;

  constructor(app: App, now: Date) {
    this.#app = app;
    this.#now = now;
  }

  at(days: number): Clock {
    const { clock } = this.#app.context();
    return { ...clock, now: () => new Date(this.#now.getTime() + days * DAY_MS) };
  }

  async add(
    days: number,
    actor: string,
    act: string,
    subject: Readonly<Record<string, string>>,
    details: Readonly<Record<string, string | number>> = {},
    phase: 'intent' | 'outcome' = 'outcome',
  ): Promise<void> {
    this.#at = days;
    const clock = { ...this.at(0), now: () => this.at(this.#at).now() };
    // One chain needs one writer: a second one would only find its view of the end outdated.
    const log = this.#logs.get(actor) ?? new AuditLog(this.#app.store, clock, { actor });
    this.#logs.set(actor, log);
    await log.append([{ act, phase, subject, details }]);
  }
}

const LIFE = ARCHIVE_STATES.slice(0, 8);
/** Archives whose life is told; each entry is a write of its own. */
const TOLD_EVERY = 9;

async function tellLife(chain: Chain, archive: ArchiveDocument): Promise<void> {
  if (archive.plan.records % TOLD_EVERY !== 0 && archive.state !== 'quarantined' && archive.sequence !== 1) return;
  const { _id, owner, customer, policy } = archive;
  const subject = { archive: _id, owner, customer, policy };
  const reached = LIFE.indexOf(archive.quarantinedFrom ?? archive.state);
  const start = (archive.createdAt.getTime() - archive.plan.asOf.getTime()) / DAY_MS - AGES[archive.state][0];
  for (const [i, state] of LIFE.slice(0, reached + 1).entries()) {
    const details =
      i === 0 ? { records: archive.plan.records, vault: archive.vault.name } : { from: LIFE[i - 1] ?? '' };
    await chain.add(start + i * 0.02, 'worker:moraine-1', `archive ${state}`, subject, details);
    if (state === 'purging')
      await chain.add(start + i * 0.02, 'worker:moraine-1', 'vault delete', subject, {}, 'intent');
  }
}

async function certifyConfirmed(app: App, all: readonly ArchiveDocument[]): Promise<string[]> {
  const context = app.context();
  const ids: string[] = [];
  for (const archive of all.filter(({ state }) => state === 'confirmed').slice(0, 6)) {
    const confirmedAt = archive.purge?.confirmedByInventoryAt ?? archive.changedAt;
    const certificate = await certifyPurge(context, archive, confirmedAt);
    ids.push(certificate._id);
  }
  return ids;
}

async function fillQuarantine(
  app: App,
  policies: readonly Policy[],
  all: readonly ArchiveDocument[],
  now: Date,
): Promise<string[]> {
  const { store } = app;
  const chain = new Chain(app, now);
  const secrets: string[] = [];
  const reasons = [
    ['owner-unusable', 'The owner field is missing or holds no usable value.', -9, 23],
    ['trigger-unusable', 'The trigger field is missing or holds no date.', -4, 6],
    ['changed-three-times', 'It changed three times in a row while its archive was being cleared.', -1, 2],
  ] as const;
  for (const [r, [reason, text, days, entries]] of reasons.entries()) {
    const policy = policies[r % policies.length];
    if (policy === undefined) continue;
    const records = Array.from({ length: entries }, (_, i) => {
      const secret = `person-${r}-${i}@example.com`;
      secrets.push(secret);
      const owner = reason === 'owner-unusable' ? null : id.owner('acme');
      const namespace = policy.dataset.collection;
      const customer = id.customer('north');
      return { policy: policy.name, namespace, owner, customer, reason, text, idBytes: Buffer.from(secret) };
    });
    await quarantineRecords(store, chain.at(days), records);
  }
  for (const archive of all.filter(({ state }) => state === 'quarantined').slice(0, 2)) {
    const { policy, namespace, owner, customer, quarantineReason, _id } = archive;
    await quarantineArchiveEntry(store, chain.at(-2), {
      archive: _id,
      ...{ policy, namespace, owner, customer },
      reason: 'ARCHIVE_NOT_IN_INVENTORY',
      text: quarantineReason ?? '',
    });
  }
  return secrets;
}

async function fillRuns(app: App, policies: readonly Policy[], now: Date): Promise<void> {
  const { store } = app;
  const chain = new Chain(app, now);
  const names = policies.map(({ name }) => name);
  const runs = [
    ['run', -2, 'worker:moraine-1', names, { selected: 31_204, archived: 31_204, deleted: 31_180, changed: 24 }, null],
    ['purge', -1.9, 'worker:moraine-1', [], { purged: ['a', 'b', 'c'], held: [], failed: [] }, null],
    ['reconcile', -1, 'worker:moraine-2', [], { confirmed: ['a', 'b'] }, null],
    ['run', -0.6, 'person:maria', ['chats'], { selected: 5_120, archived: 5_120, deleted: 5_119, gone: 1 }, null],
    ['reconcile', -0.2, 'worker:moraine-2', [], null, 'VAULT_UNAVAILABLE'],
    ['run', -0.01, 'worker:moraine-1', names, {}, null],
  ] as const;
  for (const [i, [command, days, by, of, totals, error]] of runs.entries()) {
    const run = `seeded-${i}`;
    await startRun(store, chain.at(days), { id: run, command, by, asOf: null, policies: of });
    if (i < runs.length - 1) await endRun(store, chain.at(days + 0.002), run, { totals, error });
  }
}

async function fillRetrievals(app: App, all: readonly ArchiveDocument[], now: Date): Promise<void> {
  const { store } = app;
  const chain = new Chain(app, now);
  const archive = all.find(({ state }) => state === 'cleared');
  if (archive === undefined || archive.stored === null) return;
  const asked = {
    archive: archive._id,
    location: archive.vault,
    vaultArchiveId: archive.stored.vaultArchiveId,
    tier: 'standard',
    range: null,
    expectedAt: chain.at(0).now(),
  } as const;
  await askedRetrieval(store, chain.at(-0.2), { id: 'seeded-ready', jobId: 'job-1', ...asked });
  await markRetrievalReady(store, 'seeded-ready', { readyAt: chain.at(-0.05).now(), expiresAt: chain.at(0.95).now() });
}
