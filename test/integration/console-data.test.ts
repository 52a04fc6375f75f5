/** What the API and the metrics say, against a ledger whose content is known. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readSignedFile, verifySigned } from '../../src/certificate/signed-file.ts';
import { ROUTES } from '../../src/console/routes.ts';
import { id } from '../../src/ids.ts';
import { raiseAlarm } from '../../src/ledger/alarms.ts';
import { approvals, askApproval } from '../../src/ledger/approvals.ts';
import { type ArchiveDocument, NO_OUTCOMES, type Outcomes } from '../../src/ledger/archive-document.ts';
import { disposals, newestDisposal, startDisposal } from '../../src/ledger/disposals.ts';
import { exceptionAsked, getException } from '../../src/ledger/exceptions.ts';
import { openOffboardings, orderedBy } from '../../src/ledger/offboardings.ts';
import { partitionId } from '../../src/ledger/partitions.ts';
import { ARCHIVE_STATES } from '../../src/ledger/states.ts';
import { update } from '../../src/ledger/update.ts';
import { METRICS } from '../../src/metrics.ts';
import { ask, json, type MetricSample, parseMetrics } from '../browser/ask.ts';
import { type ConsoleWorld, openConsoleWorld } from '../browser/console-world.ts';
import { testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: ConsoleWorld;
let url: string;
beforeAll(async () => {
  world = await openConsoleWorld(names);
  ({ url } = await world.start());
});
afterAll(() => world.close());

const sum = (all: readonly ArchiveDocument[], of: (archive: ArchiveDocument) => number) =>
  all.reduce((total, archive) => total + of(archive), 0);
const isStored = ({ state }: ArchiveDocument) =>
  ['stored', 'verified', 'cleared', 'purging', 'quarantined'].includes(state);
const outcomes = z.record(z.string(), z.number());

describe('/api/overview', () => {
  const overview = z.object({
    attention: z.array(z.object({ level: z.enum(['alarm', 'warning']), text: z.string(), hint: z.string() })),
    states: z.array(z.object({ state: z.string(), archives: z.number(), records: z.number(), bytes: z.number() })),
    outcomes,
    vaultBytes: z.number(),
    recordBytes: z.number(),
    oldestRecords: z.array(
      z.object({ policy: z.string(), dueAt: z.string().nullable(), overdueSeconds: z.number().nullable() }),
    ),
    duePurges: z.array(z.object({ archive: z.string(), dueAt: z.string() })),
    overduePurges: z.array(z.object({ archive: z.string() })),
    quarantine: z.object({ records: z.number(), archives: z.number(), oldestAt: z.string() }),
    auditEntries: z.number(),
    runs: z.array(z.object({ id: z.string(), state: z.string(), counts: z.record(z.string(), z.number()) })),
    queues: z.array(z.object({ name: z.string(), jobs: z.record(z.string(), z.number()) })),
  });

  it('counts archives by state in the order of the life, and records by outcome so that they add up', async () => {
    const { archives } = world.seeded;
    const seen = overview.parse(await json(url, '/api/overview'));
    expect(seen.states.map(({ state }) => state)).toEqual(ARCHIVE_STATES);
    for (const { state, archives: count, bytes } of seen.states) {
      const there = archives.filter((archive) => archive.state === state);
      expect(count, state).toBe(there.length);
      expect(bytes, state).toBe(sum(there, ({ stored }) => stored?.bytes ?? 0));
    }
    const kinds = [
      'deleted',
      'changed',
      'held',
      'gone',
      'quarantined',
      'pending',
    ] as const satisfies (keyof Outcomes)[];
    for (const kind of kinds)
      expect(seen.outcomes[kind], kind).toBe(sum(archives, (archive) => archive.outcomes[kind]));
    expect(kinds.reduce((total, kind) => total + (seen.outcomes[kind] ?? 0), 0)).toBe(seen.outcomes['archived']);
    expect(seen.vaultBytes).toBe(sum(archives.filter(isStored), ({ stored }) => stored?.bytes ?? 0));
    expect(seen.recordBytes).toBe(sum(archives, ({ stored }) => stored?.recordBytes ?? 0));
  });

  it('names what is overdue: purges past their grace, and the record that waits longest in the source', async () => {
    const seen = overview.parse(await json(url, '/api/overview'));
    const ms = world.now.getTime();
    const due = world.seeded.archives.filter(
      ({ state, dueAt }) =>
        dueAt !== null && ['cleared', 'purging'].includes(state) && dueAt.getTime() < ms + 30 * 86_400_000,
    );
    const late = due.filter(
      ({ dueAt, policy }) => (dueAt?.getTime() ?? 0) < ms - (policy === 'tickets' ? 14 : 7) * 86_400_000,
    );
    expect(late.length).toBeGreaterThan(0);
    expect(new Set(seen.overduePurges.map(({ archive }) => archive))).toEqual(new Set(late.map(({ _id }) => _id)));
    expect(seen.duePurges[0]?.archive).toBe(seen.overduePurges[0]?.archive);
    const record = (policy: string) => seen.oldestRecords.find((oldest) => oldest.policy === policy);
    expect(Math.round((record('chats')?.overdueSeconds ?? 0) / 86_400)).toBe(13);
    expect(record('calls')).toMatchObject({ overdueSeconds: 0 });
    expect(record('calls')?.dueAt).not.toBeNull();
    expect(record('tickets')).toMatchObject({ overdueSeconds: 0, dueAt: null });
    const texts = seen.attention.filter(({ level }) => level === 'alarm').map(({ text }) => text);
    expect(texts.join()).toMatch(/archives? should have been purged.*Policy chats is late/);
  });

  it('says what waits for a person, what ran, and how many jobs there are', async () => {
    const seen = overview.parse(await json(url, '/api/overview'));
    expect(seen.quarantine).toMatchObject({ records: 31, archives: 2 });
    expect(seen.auditEntries).toBeGreaterThan(100);
    expect(seen.runs.map(({ id }) => id)).toEqual([5, 4, 3, 2, 1, 0].map((i) => `seeded-${i}`));
    expect(seen.runs[4]?.counts).toEqual({ purged: 3 });
    expect(seen.queues.map(({ name }) => name).sort()).toEqual([
      'archive',
      'audit',
      'clear',
      'notify',
      'purge',
      'reconcile',
      'retrieve',
      'sweep',
    ]);
    expect(seen.attention.map(({ hint }) => hint)).toContain('moraine quarantine list');
  });
});

describe('/api/archives', () => {
  const page = z.object({
    archives: z.array(z.object({ id: z.string(), state: z.string() })),
    next: z.string().nullable(),
  });
  const walk = async (query: string) => {
    const ids: string[] = [];
    let after: string | null = '';
    while (after !== null) {
      const seen: z.infer<typeof page> = page.parse(await json(url, `/api/archives?${query}&after=${after}`));
      expect(seen.archives.length).toBeLessThanOrEqual(50);
      ids.push(...seen.archives.map(({ id }) => id));
      after = seen.next;
    }
    return ids;
  };

  it('gives every archive once, page by page, the newest first', async () => {
    const ids = await walk('');
    expect(ids.length).toBe(world.seeded.archives.length);
    expect(ids).toEqual(
      world.seeded.archives
        .map(({ _id }) => _id as string)
        .sort()
        .reverse(),
    );
  });

  it.each([
    ['state=cleared', (a: ArchiveDocument) => a.state === 'cleared'],
    ['owner=acme', (a: ArchiveDocument) => a.owner === 'acme'],
    [
      'owner=initech&customer=apac&policy=calls',
      (a: ArchiveDocument) => a.owner === 'initech' && a.customer === 'apac' && a.policy === 'calls',
    ],
    ['customer=oid%3A65a1f0c2b4d8e9a1c2d3e4f5', (a: ArchiveDocument) => a.customer.startsWith('oid:')],
    ['owner=nobody', () => false],
    ['state=no-such-state', () => true],
    ['owner=acme&owner=globex', () => true],
  ])('filters by %s', async (query, fits) => {
    expect(new Set(await walk(query))).toEqual(new Set(world.seeded.archives.filter(fits).map(({ _id }) => _id)));
  });

  it('one archive has its whole life from the audit chain, its retrievals and its certificate', async () => {
    const [certificate = ''] = world.seeded.certificates;
    const archive = z.object({
      id: z.string(),
      state: z.string(),
      certificate: z.string().nullable(),
      timeline: z.array(z.object({ act: z.string() })),
      retrievals: z.array(z.object({ state: z.string() })),
    });
    const destroyed = archive.parse(await json(url, `/api/archives/${certificate}`));
    expect(destroyed).toMatchObject({ id: certificate, state: 'confirmed', certificate });
    expect(destroyed.timeline.map(({ act }) => act)).toEqual([
      ...['planned', 'storing', 'stored', 'verified', 'cleared', 'purging'].map((state) => `archive ${state}`),
      'vault delete',
      'archive purged',
      'archive confirmed',
    ]);
    const first = world.seeded.archives.find(({ state }) => state === 'cleared');
    expect(archive.parse(await json(url, `/api/archives/${first?._id}`)).retrievals).toMatchObject([
      { state: 'ready' },
    ]);
  });

  it('an archive that is not there: 404, with the code and what to do', async () => {
    const { status, text } = await ask(url, '/api/archives/nope');
    expect(status).toBe(404);
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'ARCHIVE_UNKNOWN', hint: 'Run `moraine archives`.' } });
    expect((await ask(url, '/archives/nope')).status).toBe(404);
    expect((await ask(url, '/archives/%E0%A4%A')).status).toBe(400);
  });
});

describe('other readings', () => {
  it('policies: what is in force, its next run in its own zone, and its customers', async () => {
    const policy = z.object({
      name: z.string(),
      version: z.string().length(64),
      nextRun: z.string().nullable(),
      lastGoodRun: z.string(),
      figures: z.object({ customers: z.array(z.unknown()) }),
    });
    const seen = z.array(policy).parse(await json(url, '/api/policies'));
    expect(seen.map(({ name }) => name)).toEqual(['calls', 'chats', 'tickets']);
    expect(seen.every(({ figures }) => figures.customers.length === 8)).toBe(true);
    const next = new Date(seen[1]?.nextRun ?? '');
    const wall = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Amsterdam', hour: '2-digit', minute: '2-digit' });
    expect(wall.format(next)).toBe('02:00');
    expect(next.getTime() - world.now.getTime()).toBeLessThan(25 * 3_600_000);
    expect(seen[2]?.nextRun).toBeNull();
  });

  it('vaults: one per owner and customer, with the archives that are in it now', async () => {
    const vault = z.object({
      owner: z.string(),
      customer: z.string(),
      archives: z.number(),
      bytes: z.number(),
      purged: z.number(),
    });
    const seen = z.array(vault).parse(await json(url, '/api/vaults'));
    expect(seen.length).toBe(8);
    for (const { owner, customer, archives, bytes, purged } of seen) {
      const ours = world.seeded.archives.filter((archive) => archive.owner === owner && archive.customer === customer);
      expect(archives).toBe(ours.filter(isStored).length);
      expect(bytes).toBe(sum(ours.filter(isStored), ({ stored }) => stored?.bytes ?? 0));
      expect(purged).toBe(ours.filter(({ state }) => state === 'purged' || state === 'confirmed').length);
    }
  });

  it('quarantine: reasons and entries', async () => {
    const view = z.object({
      reasons: z.array(z.object({ reason: z.string(), entries: z.number() })),
      entries: z.array(z.object({ id: z.string() })),
    });
    const { reasons, entries } = view.parse(await json(url, '/api/quarantine'));
    expect(Object.fromEntries(reasons.map(({ reason, entries: count }) => [reason, count]))).toEqual({
      'owner-unusable': 23,
      'trigger-unusable': 6,
      'changed-three-times': 2,
      ARCHIVE_NOT_IN_INVENTORY: 2,
    });
    expect(entries.length).toBe(33);
  });

  it('exceptions: each with who stands for it and what it does now; those that are over only when they are asked for', async () => {
    const exception = z.object({
      id: z.string(),
      standing: z.string(),
      values: z.object({ field: z.string(), count: z.number() }).strict().nullable(),
      requestedBy: z.string(),
      grantedBy: z.array(z.string()),
      approval: z.string().nullable(),
      from: z.string().nullable(),
      bitesAt: z.string().nullable(),
    });
    const view = z.object({ exceptions: z.array(exception), over: z.number(), isCut: z.boolean() });
    const current = view.parse(await json(url, '/api/exceptions'));
    const all = view.parse(await json(url, '/api/exceptions?show=all'));
    const standing = ({ exceptions }: typeof all) =>
      Object.fromEntries(exceptions.map((one) => [one.id.replace('exception-', ''), one.standing]));
    const now = { waits: 'waits', values: 'waits', 'in-force': 'in force', later: 'later', grace: 'grace' };
    expect(standing(current)).toEqual(now);
    expect(standing(all)).toEqual({ ...now, over: 'over', ended: 'over', withdrawn: 'withdrawn' });
    expect([current.over, all.over, all.isCut]).toEqual([3, 3, false]);
    const [inForce, grace, values] = ['in-force', 'grace', 'values'].map((name) =>
      all.exceptions.find(({ id }) => id === `exception-${name}`),
    );
    expect(inForce).toMatchObject({ requestedBy: 'person:maria', grantedBy: ['person:kim'], bitesAt: null });
    const days = (iso: string | null | undefined) => (Date.parse(iso ?? '') - world.now.getTime()) / 86_400_000;
    expect(days(inForce?.from)).toBeCloseTo(-39);
    expect(days(grace?.bitesAt)).toBeCloseTo(5);
    expect(values).toMatchObject({ values: { field: 'contact.email', count: 2 }, approval: null });
    const { text } = await ask(url, '/exceptions');
    expect(text).toContain('Subject &lt;access&gt; &amp; &quot;objection&quot;');
  });

  it('exceptions: one that waits names the approval that it waits for', async () => {
    const { store, audit } = world.app.context();
    const waits = exceptionAsked(await getException(store, 'exception-waits'));
    const asked = await askApproval({ store, audit }, { ...waits, by: 'person:maria', validMs: 60_000, stages: [] });
    expect((await ask(url, '/exceptions')).text).toContain(`moraine approve show ${asked._id}`);
    await approvals(store).remove(asked._id, asked.rev);
  });

  it('a version that comes: from when, by whom, and what it changes; none for the other policies', async () => {
    const change = z.object({ field: z.string(), old: z.string().nullable(), next: z.string().nullable() });
    const coming = z.object({
      from: z.string(),
      publishedBy: z.string(),
      approval: z.string(),
      changes: z.array(change),
    });
    const seen = z
      .array(z.object({ name: z.string(), coming: coming.nullable() }))
      .parse(await json(url, '/api/policies'));
    const [calls, chats, tickets] = seen;
    expect([calls?.coming, tickets?.coming]).toEqual([null, null]);
    expect(chats?.coming).toMatchObject({
      publishedBy: 'person:maria',
      approval: 'approval-policy-1',
      changes: [{ field: 'active', old: '2 years', next: '1 year 6 months' }],
    });
    expect((Date.parse(chats?.coming?.from ?? '') - world.now.getTime()) / 86_400_000).toBeCloseTo(6);
  });

  it('offboardings: the stage, the export that was returned, and what was destroyed with which certificates', async () => {
    const offboarding = z.object({
      state: z.string(),
      export: z.object({ id: z.string(), archives: z.number() }),
      records: z.object({ deleted: z.number(), held: z.number() }),
      archives: z.object({ destroyed: z.number(), all: z.number(), notReturned: z.number() }),
      certificates: z.array(z.string()),
    });
    const read = async () => z.array(offboarding).parse(await json(url, '/api/offboardings'));
    const seen = await read();
    expect(seen.map(({ state, export: { id } }) => [state, id])).toEqual([
      ['open', 'export-b0b'],
      ['superseded', 'export-ea71ie8'],
      ['done', 'export-d0e'],
    ]);
    const [open, , done] = seen;
    expect(open?.archives.notReturned).toBe(1);
    expect(open?.archives.all).toBe((open?.export.archives ?? 0) + 1);
    expect(open?.archives.destroyed).toBeLessThan(open?.archives.all ?? 0);
    expect(done?.archives.destroyed).toBe(done?.archives.all);
    expect(world.seeded.certificates).toEqual(expect.arrayContaining(done?.certificates.slice(0, 1) ?? ['none']));
    expect(open?.records).toEqual({ deleted: 0, held: 0 });
    const { store, clock } = world.app.context();
    const [order] = await openOffboardings(store);
    if (order === undefined) throw new Error('No offboarding is open.');
    const { owner, customer } = order;
    const namespace = id.namespace('data.chats');
    const partition = partitionId(namespace, owner, customer);
    const asOf = clock.now();
    const facts = {
      namespace,
      owner,
      customer,
      partition,
      policy: 'chats',
      policyVersion: id.policyVersion('v'),
      asOf,
    };
    const begin = async (saidBy: string) => {
      const begun = { ...facts, kind: 'offboard', saidBy, mostRecords: 9, after: null } as const;
      const name = (await startDisposal(store, clock, await newestDisposal(store, partition), begun)) ?? '';
      const outcomes = { ...NO_OUTCOMES, archived: 9, deleted: 7, held: 2 };
      await update(disposals(store), name, (now) => ({ ...now, outcomes }));
      return name;
    };
    const names = [await begin(orderedBy(order)), await begin('person:maria, offboard-another')];
    expect((await read())[0]?.records).toEqual({ deleted: 7, held: 2 });
    for (const name of names) await disposals(store).remove(name, 1);
  });

  it('no record content, no _id of a record and no key is in any page or reading', async () => {
    const ids = ['/archives/:id', '/api/archives/:id', '/certificates/:id', '/api/certificates/:id'];
    const [certificate = ''] = world.seeded.certificates;
    const paths = ROUTES.flatMap(({ page, api }) => [page, api]).map((path) =>
      ids.includes(path) ? path.replace(':id', certificate) : path,
    );
    for (const path of [...paths, '/metrics', `/api/certificates/${certificate}/download`]) {
      const { status, text } = await ask(url, path);
      expect(status, path).toBe(200);
      for (const secret of world.seeded.secrets) {
        for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')])
          expect(text.includes(form), `${form} in ${path}`).toBe(false);
      }
      expect(text).not.toMatch(/a secret|AGE-SECRET-KEY|PRIVATE KEY|idBytes/);
    }
  });
});

describe('/metrics', () => {
  let samples: readonly MetricSample[];
  beforeAll(async () => {
    samples = parseMetrics((await ask(url, '/metrics')).text);
  });
  const value = (name: string, labels: Record<string, string> = {}) =>
    samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )?.value;

  it('has every metric that the list names, with its labels, and no other of ours', () => {
    // These appear with the first of their kind: nothing was done by this process, and nobody has proven an identity.
    const later = [
      'moraine_process_cleared_records_total',
      'moraine_process_archive_moves_total',
      'moraine_proof_ends_timestamp_seconds',
    ];
    const seen = new Set(samples.map(({ name }) => name).filter((name) => name.startsWith('moraine_')));
    expect([...seen].sort()).toEqual(
      Object.keys(METRICS)
        .filter((name) => !later.includes(name))
        .sort(),
    );
    expect(value('moraine_orphans', { policy: 'chats', why: 'unknown' })).toBe(3);
    expect(value('moraine_orphans', { policy: 'chats', why: 'foreign' })).toBe(1);
    for (const [name, { labels }] of Object.entries(METRICS)) {
      for (const sample of samples.filter((each) => each.name === name))
        expect(Object.keys(sample.labels).sort()).toEqual([...labels].sort());
    }
    const ours = samples.filter(({ name }) => name.startsWith('moraine_'));
    expect(ours.filter(({ value: each }) => !Number.isFinite(each))).toEqual([]);
  });

  it('says what the ledger says', () => {
    for (const policy of world.seeded.policies) {
      const ours = world.seeded.archives.filter((archive) => archive.policy === policy);
      for (const state of ARCHIVE_STATES)
        expect(value('moraine_archives', { policy, state })).toBe(
          ours.filter((archive) => archive.state === state).length,
        );
      for (const outcome of ['archived', 'deleted', 'changed', 'gone', 'pending'] as const)
        expect(value('moraine_records', { policy, outcome })).toBe(sum(ours, (archive) => archive.outcomes[outcome]));
      expect(value('moraine_archived_record_bytes', { policy })).toBe(
        sum(ours, ({ stored }) => stored?.recordBytes ?? 0),
      );
      expect(value('moraine_vault_bytes', { policy, vault: 'cold' })).toBe(
        sum(ours.filter(isStored), ({ stored }) => stored?.bytes ?? 0),
      );
      expect(value('moraine_source_readable', { policy })).toBe(1);
    }
    expect((value('moraine_oldest_overdue_record_seconds', { policy: 'chats' }) ?? 0) / 86_400).toBeCloseTo(13, 0);
    expect(value('moraine_oldest_overdue_record_seconds', { policy: 'calls' })).toBe(0);
    expect(value('moraine_overdue_purges', { policy: 'chats' })).toBeGreaterThan(0);
    expect((value('moraine_oldest_overdue_purge_seconds', { policy: 'chats' }) ?? 0) / 86_400).toBeGreaterThan(7);
    expect(value('moraine_quarantine_open', { kind: 'record' })).toBe(31);
    const ages = world.seeded.policies.map(
      (policy) => value('moraine_quarantine_oldest_seconds', { policy }) ?? Number.NaN,
    );
    expect(Math.max(...ages) / 86_400).toBeCloseTo(9, 1);
    expect(value('moraine_queue_jobs', { queue: 'archive', state: 'waiting' })).toBe(0);
    expect(value('moraine_ledger_up')).toBe(1);
    expect(value('moraine_alarms')).toBe(0);
  });
});

describe('proofs', () => {
  it('a certificate downloads as it was signed, and its signature holds; one that was changed is called forged', async () => {
    const [id = '', forged = ''] = world.seeded.certificates;
    const view = z.object({ body: z.string(), isSignatureValid: z.boolean() });
    const good = view.parse(await json(url, `/api/certificates/${id}`));
    expect(good.isSignatureValid).toBe(true);
    const { headers, text } = await ask(url, `/api/certificates/${id}/download`);
    expect(headers['content-disposition']).toMatch(/certificate-\d{6}\.json/);
    expect(z.object({ body: z.string() }).parse(JSON.parse(text)).body).toBe(good.body);
    for (const format of ['json', 'html', 'pdf'] as const) {
      const file = await fetch(new URL(`/api/certificates/${id}/download?format=${format}`, url));
      const { kind, signed } = readSignedFile(new Uint8Array(await file.arrayBuffer()), format);
      expect(kind).toBe(format);
      expect(verifySigned(signed, null, format).body).toMatchObject({ id });
    }

    const stored = world.client.db(world.ledger).collection<{ _id: string; body: string }>('certificates');
    const before = await stored.findOne({ _id: forged });
    await stored.updateOne(
      { _id: forged },
      { $set: { body: before?.body.replace('"archived":', '"archived":1') ?? '' } },
    );
    expect(view.parse(await json(url, `/api/certificates/${forged}`)).isSignatureValid).toBe(false);
    expect((await ask(url, `/certificates/${forged}`)).text).toContain('The signature does not hold');
    await stored.updateOne({ _id: forged }, { $set: { body: before?.body ?? '' } });
  });

  it('the audit chain holds; with one entry changed it is said which', async () => {
    const verdict = z.object({
      ok: z.boolean(),
      firstBad: z.number().nullable(),
      entries: z.number(),
      certificates: z.number(),
    });
    const good = verdict.parse(await json(url, '/api/audit/verify'));
    expect(good).toMatchObject({ ok: true, firstBad: null, certificates: world.seeded.certificates.length });
    const blocks = world.client.db(world.ledger).collection<{ _id: string }>('audit');
    await blocks.updateOne({ _id: '000000000000017' }, { $set: { 'entries.0.actor': 'person:mallory' } });
    // A console of its own: the answer of a moment ago is remembered.
    const fresh = await world.start({ withQueues: false });
    expect(verdict.parse(await json(fresh.url, '/api/audit/verify'))).toMatchObject({ ok: false, firstBad: 17 });
    expect((await ask(fresh.url, '/audit/verify')).text).toContain('does not hold at entry 17');
  });

  it('a policy that was changed in the ledger: named as a problem, and every figure of the others is there', async () => {
    const versions = world.client
      .db(world.ledger)
      .collection<{ _id: string; name: string; json: string }>('policyVersions');
    const before = await versions.findOne({ name: 'calls' });
    await versions.updateOne({ name: 'calls' }, { $set: { json: before?.json.replace('P7D', 'P9D') ?? '' } });
    const fresh = await world.start({ withQueues: false });
    const seen = z
      .object({
        states: z.array(z.object({ archives: z.number() })),
        oldestRecords: z.array(z.object({ policy: z.string(), problem: z.object({ text: z.string() }).nullable() })),
      })
      .parse(await json(fresh.url, '/api/overview'));
    expect(seen.states.reduce((total, { archives }) => total + archives, 0)).toBe(world.seeded.archives.length);
    expect(seen.oldestRecords.map(({ policy, problem }) => [policy, problem !== null])).toEqual([
      ['calls', true],
      ['chats', false],
      ['tickets', false],
    ]);
    expect((await ask(fresh.url, '/metrics')).text).toContain('moraine_source_readable{policy="calls"} 0');
    const page = await ask(fresh.url, '/policies');
    expect(page.status).toBe(500);
    expect(page.text).toContain('of policy calls in the ledger is not what was published');
    await versions.updateOne({ name: 'calls' }, { $set: { json: before?.json ?? '' } });
  });

  it('an alarm is the first thing on the first page, and a metric', async () => {
    const { clock } = world.app.context();
    await raiseAlarm(
      world.app.store,
      clock,
      'LEDGER_BEHIND_VAULT',
      'The vault holds an archive that is newer than the ledger.',
    );
    const seen = z
      .object({ attention: z.array(z.object({ level: z.string(), text: z.string() })) })
      .parse(await json(url, '/api/overview'));
    expect(seen.attention[0]).toMatchObject({ level: 'alarm', text: expect.stringContaining('LEDGER_BEHIND_VAULT') });
    expect((await ask(url, '/metrics')).text).toContain('moraine_alarms 1');
  });
});
