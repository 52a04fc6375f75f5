/** Certificates of destruction, field by field: what was destroyed, by which rule, how it was proved; signed over the very text that is kept. */
import { beforeEach, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/canonical-json.ts';
import { id } from '../../src/ids.ts';
import { newIdentity } from '../../src/keys/identity-file.ts';
import { grantApproval, refuseApproval } from '../../src/ledger/approval-decisions.ts';
import { askApproval } from '../../src/ledger/approvals.ts';
import type { ArchiveDocument, PurgeFacts } from '../../src/ledger/archive-document.ts';
import { auditHead } from '../../src/ledger/audit.ts';
import { CERTIFICATE_FORMAT, certify, certifyPurge, verifyCertificate } from '../../src/lifecycle/certificate.ts';
import type { Context } from '../../src/lifecycle/context.ts';
import { purgeArchives } from '../../src/lifecycle/purge.ts';
import { reconcile } from '../../src/lifecycle/reconcile.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { ACME } from '../harness/a-hold.ts';
import { anArchive } from '../harness/an-archive.ts';
import { overlay } from '../harness/overlay.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const at = (day: string) => new Date(`${day}T00:00:00Z`);
const PURGE: PurgeFacts = {
  claimedDueAt: at('2029-01-02'),
  asOf: at('2029-01-03'),
  askedAt: at('2029-01-04'),
  acceptedAt: at('2029-01-05'),
  keyDestroyedAt: at('2029-01-06'),
  confirmedByInventoryAt: null,
  certificate: null,
};
const { stored: STORED } = anArchive();
if (STORED === null) throw new Error('It was not stored.');
const SEALED = { firstPurgeAt: at('2029-01-01'), rules: [{ rule: 'the active period', records: 2 }] };
const LOOKED = { looked: { at: new Date('2029-01-03T12:00:00Z'), count: 2, holds: ['h1', 'h2'] }, requestId: 'r-1' };
const SUBJECT = { _id: 'x1', ...ACME, policy: 'chats', policyVersion: 'f'.repeat(64) };

let world: MemoryWorld;
let context: Context;
beforeEach(async () => {
  world = await MemoryWorld.open();
  context = world.context();
});

const purged = (fields: Partial<ArchiveDocument> = {}): ArchiveDocument => ({
  ...anArchive({ state: 'purged', purge: PURGE, ...fields }),
  rev: 0,
});

const inEnvironment = (environment: Context['installation']['environment'], on = context): Context => ({
  ...on,
  installation: { ...on.installation, environment },
});

test('a purge: everything that proves it, in canonical JSON', async () => {
  await context.audit.append([{ act: 'x', phase: 'outcome', subject: {}, details: {} }]);
  const head = await auditHead(world.store);
  const archive = purged({ stored: { ...STORED, ...SEALED }, purge: { ...PURGE, ...LOOKED }, leftOut: ['h3'] });
  const kept = await certifyPurge(context, archive, at('2029-02-01'));
  const { stored } = archive;
  expect(JSON.parse(kept.body)).toEqual({
    format: CERTIFICATE_FORMAT,
    version: 1,
    number: 1,
    id: 'a1',
    installation: context.installation.id,
    environment: 'sandbox',
    note: expect.stringContaining('sandbox'),
    owner: 'acme',
    customer: 'north',
    dataset: 'data.chats',
    policy: 'chats',
    policyVersion: 'f'.repeat(64),
    issuedAt: world.clock.now().toISOString(),
    asOf: null,
    audit: { seq: head?.seq, hash: head?.hash },
    what: 'archive purged',
    archive: 'a1',
    records: archive.outcomes,
    rules: [{ rule: 'the active period', records: 2 }],
    triggers: { from: '2020-01-01T00:00:00.000Z', to: '2020-01-02T00:00:00.000Z' },
    due: {
      activeEnded: '2022-01-01T00:00:00.000Z',
      purgeFrom: '2029-01-01T00:00:00.000Z',
      purgeTo: '2029-01-02T00:00:00.000Z',
      claimed: '2029-01-02T00:00:00.000Z',
    },
    holds: {
      lookedAt: ['2029-01-03T12:00:00.000Z', '2029-01-04T00:00:00.000Z'],
      inForce: 2,
      ids: ['h1', 'h2'],
      leftOut: ['h3'],
    },
    approvals: [],
    merkleRoot: stored?.merkleRoot,
    manifestSha256: stored?.manifestSha256,
    copies: [
      {
        backend: 'glacier',
        account: '-',
        region: 'eu-west-1',
        vault: archive.vault.name,
        vaultArchiveId: stored?.vaultArchiveId,
        bytes: stored?.bytes,
        treeHash: stored?.treeHash,
        storedAt: '2024-06-01T00:00:00.000Z',
        verified: { level: 'checksum', at: '2024-06-01T00:00:00.000Z' },
        deleted: {
          requestedAt: '2029-01-04T00:00:00.000Z',
          acceptedAt: '2029-01-05T00:00:00.000Z',
          requestId: 'r-1',
          confirmedByInventoryOf: '2029-02-01T00:00:00.000Z',
        },
      },
    ],
    key: { attempt: 't1', destroyedAt: '2029-01-06T00:00:00.000Z' },
    finalOn: null,
  });
  expect(kept.body).toBe(canonicalJson(JSON.parse(kept.body)));
  expect(kept).toMatchObject({ _id: 'a1', archive: 'a1', policy: 'chats', owner: 'acme', customer: 'north' });
  await verifyCertificate(context, kept);
});

test('an archive that was never verified says so', async () => {
  const { body } = await certifyPurge(context, purged({ verifiedAt: null }), at('2029-02-01'));
  expect(JSON.parse(body)).toMatchObject({ copies: [{ verified: { level: 'checksum', at: null } }] });
});

test('how many children and files went along is told where there were any, and of what it is an addendum', async () => {
  const { stored } = purged();
  if (stored === null) throw new Error('It was not stored.');
  const plain = JSON.parse((await certifyPurge(context, purged(), at('2029-02-01'))).body);
  for (const absent of ['children', 'attachments', 'addendumTo']) expect(plain).not.toHaveProperty(absent);
  const facts = {
    _id: id.archive('a2'),
    addendumTo: id.archive('a1'),
    stored: { ...stored, children: 3, attachments: 0 },
  };
  const { body } = await certifyPurge(context, purged(facts), at('2029-02-01'));
  expect(JSON.parse(body)).toMatchObject({ children: 3, attachments: 0, addendumTo: 'a1' });
});

test.each<[string, Partial<ArchiveDocument>]>([
  ['was never stored', { stored: null }],
  ['has no answer of the vault', { purge: { ...PURGE, acceptedAt: null } }],
  ['has its key still', { purge: { ...PURGE, keyDestroyedAt: null } }],
])('an archive that %s is not certified', async (_, fields) => {
  await expect(certifyPurge(context, purged(fields), at('2029-02-01'))).rejects.toMatchObject({ code: 'INTERNAL' });
  expect(await world.all('certificates')).toEqual([]);
});

test('final when the backups of the keys are too old to hold it; by the calendar', async () => {
  const withBackups = { ...context, keys: overlay(context.keys, { backupMaxAge: 'P1M' }) };
  const { body } = await certifyPurge(withBackups, purged(), at('2029-02-01'));
  expect(JSON.parse(body)).toMatchObject({ finalOn: '2029-02-06T00:00:00Z' });
});

test('twice: the first one stands, word for word', async () => {
  const first = await certifyPurge(context, purged(), at('2029-02-01'));
  world.clock.advance(60_000);
  expect(await certifyPurge(context, purged(), at('2029-03-01'))).toEqual(first);
  expect(await world.all('certificates')).toHaveLength(1);
});

test('the environment and the instant of --as-of are told; only a sandbox proves nothing', async () => {
  const asOf = world.context(undefined, { asOf: '2030-01-01T00:00:00Z' });
  const sandbox = JSON.parse((await certify(asOf, SUBJECT, { archive: null })).body);
  expect(sandbox).toMatchObject({ environment: 'sandbox', asOf: '2030-01-01T00:00:00.000Z', audit: null });
  expect(sandbox).toHaveProperty('note');
  const real = JSON.parse(
    (await certify(inEnvironment('production'), { ...SUBJECT, _id: 'x2' }, { archive: null })).body,
  );
  expect(real).toMatchObject({ environment: 'production', asOf: null, archive: null });
  expect(real).not.toHaveProperty('note');
});

test('one letter of the text, or another key: the signature does not hold', async () => {
  const kept = await certify(context, SUBJECT, { archive: null, what: 'something' });
  await verifyCertificate(context, kept);
  const broken = { code: 'CERTIFICATE_INVALID' };
  const forged = { ...kept, body: kept.body.replace('acme', 'acne') };
  await expect(verifyCertificate(context, forged)).rejects.toMatchObject(broken);
  const signature = Uint8Array.from(kept.signature);
  signature[0] = (signature[0] ?? 0) ^ 1;
  await expect(verifyCertificate(context, { ...kept, signature })).rejects.toMatchObject(broken);
  const other = await (await MemoryWorld.open()).context().keys.sign(Buffer.from(kept.body));
  const byAnother = { ...kept, signature: other.bytes, keyId: kept.keyId };
  await expect(verifyCertificate(context, byAnother)).rejects.toMatchObject(broken);
});

test('a certificate of something else under this id is never taken for ours', async () => {
  await certify(context, SUBJECT, { archive: null });
  const others = { ...SUBJECT, owner: id.owner('other') };
  await expect(certify(context, others, { archive: null })).rejects.toMatchObject({ code: 'INTERNAL' });
  await expect(certify(context, SUBJECT, { archive: id.archive('a9') })).rejects.toMatchObject({ code: 'INTERNAL' });
});

describe('no personal data, whatever a person wrote', () => {
  const SECRET = 'because Maria Jansen (maria@bolt.example) asked';
  const moved = {
    from: at('2029-01-02'),
    to: at('2030-01-02'),
    by: 'person:ann',
    reason: SECRET,
    at: at('2026-01-01'),
  };

  test('of reasons only who gave them, with the approval', async () => {
    const shown = { purgeBeforeItsDate: [SECRET] };
    const asking = { kind: 'early-purge', subject: { archive: 'a1' }, shown, by: 'person:ann', items: ['a1'] } as const;
    const { _id } = await askApproval(context, { ...asking, validMs: 60_000, stages: [] });
    await grantApproval(context, _id, { by: 'person:bea', asOf: null });
    const refused = await askApproval(context, { ...asking, shown: { other: SECRET }, validMs: 60_000, stages: [] });
    await refuseApproval(context, refused._id, { by: 'person:bea', reason: SECRET });
    world.clock.advance(3_600_000);
    const { to: _, ...early } = { ...moved, approval: _id };
    const archive = purged({ early, rescheduled: [{ ...moved, approval: null }] });
    const { body } = await certifyPurge(context, archive, at('2030-02-01'));
    expect(body).not.toContain('Maria');
    expect(body).not.toContain('reason');
    expect(JSON.parse(body)).toMatchObject({
      early: { approval: _id, by: 'person:ann' },
      rescheduled: [{ from: '2029-01-02T00:00:00.000Z', to: '2030-01-02T00:00:00.000Z', approval: null }],
      // It expired since it was used, and counts all the same; the one that was refused does not.
      approvals: [{ id: _id, kind: 'early-purge', requestedBy: 'person:ann', granted: [{ by: 'person:bea' }] }],
    });
  });

  test('no id of a record and no value of a field, of what was archived and of what was deleted without', async () => {
    const { recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
    const whole = await MemoryWorld.open(recipient);
    const text = (name: string, then: string) => `
policy: ${name}
zone: UTC
dataset: { collection: data.${name}, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: mail } } }
trigger: { field: at }
active: 2 years
rules: [{ name: complaints, scope: label, when: { field: topic, is: complaint }, delete: 3 years }]
${then}
limits: { records: 1000, share: 1.0 }
`;
    const policies = [
      await whole.publish(text('chats', 'then: archive\narchive: { for: 7 years, vault: cold }')),
      await whole.publish(text('mails', 'then: delete')),
    ];
    const SECRETS = ['maria@bolt.example', 'Maria Jansen', 'rec-4711', '"complaint"'];
    for (const policy of policies) {
      for (const [n, topic] of ['complaint', 'question'].entries()) {
        const record = { _id: `rec-4711-${n}`, owner: 'acme', tenant: 'north', at: at('2019-01-01'), topic };
        whole.put(policy, { ...record, mail: SECRETS[0], name: SECRETS[1] });
      }
    }
    const early = whole.context(undefined, { asOf: '2024-06-01T00:00:00Z' });
    for (const policy of policies) await runPolicy(early, policy, { flush: true, expired: null });
    const late = whole.context(undefined, { asOf: '2033-06-01T00:00:00Z' });
    const ids = (await whole.all('archives')).map(({ _id }) => id.archive(_id));
    await purgeArchives(late, ids);
    for (const day of [0, 1, 2]) {
      await reconcile(late, { all: day === 0, source: false });
      whole.vault.advance(25);
    }
    const certified = (await whole.all('certificates')).map((one) => String(Reflect.get(one, 'body')));
    // Their copies are purged a year apart, so each rule has an archive; what was deleted has both.
    const label = { rule: 'rule complaints', records: 1 };
    const own = { rule: 'the active period', records: 1 };
    const said = certified.map((body) => JSON.parse(body)).map(({ what, rules }) => ({ what, rules }));
    expect(said).toHaveLength(3);
    for (const rules of [[own], [label]]) expect(said).toContainEqual({ what: 'archive purged', rules });
    expect(said).toContainEqual({ what: 'records deleted', rules: [label, own] });
    for (const body of certified) {
      for (const secret of SECRETS) expect(body).not.toContain(secret);
      expect(JSON.parse(body)).toMatchObject({
        triggers: { from: '2019-01-01T00:00:00.000Z', to: '2019-01-01T00:00:00.000Z' },
      });
    }
  });
});
