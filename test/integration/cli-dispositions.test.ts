/** Policies that delete, treat in place, or archive and then treat, through the real command line on real servers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { anArchive } from '../harness/an-archive.ts';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import { stackUrls, testNames } from '../harness/stack.ts';

const names = testNames(import.meta.filename);
let world: CliWorld;
const AS_OF = ['--as-of', '2022-06-01', '--yes', '--json'];
const ledger = () => world.client.db(`${names.database}_ledger`);

interface Person {
  readonly _id: string;
  readonly tenant: string;
  readonly at: Date;
  readonly mail?: string;
  readonly notes?: readonly { readonly by?: string; readonly text?: string }[];
  readonly phone?: string;
  readonly n: number;
  readonly _moraine?: { readonly treated: string; readonly treatment: string; readonly at: Date };
}

function policy(name: string, lines: string): string {
  return `
policy: ${name}
zone: UTC
dataset:
  collection: ${world.namespace(name)}
  owner: { value: acme }
  customer: { field: tenant }
  facets: { subject: { field: mail } }
trigger: { field: at }
active: 2 years
${lines}
limits: { records: 1000, share: 1.0 }
`;
}

const TREAT = `pseudonymise: [mail, notes.by]
redact: [notes.text]
anonymise: [phone]`;

const person = (_id: string, more: Partial<Person> = {}): Person => ({
  _id,
  tenant: 'north',
  at: new Date('2019-01-01'),
  mail: 'jo@example.org',
  notes: [{ by: 'Jo@Example.org', text: 'called' }, { text: 'again' }],
  phone: '+31 20 123',
  n: 1,
  ...more,
});

async function fill(name: string, lines: string, people: readonly Person[]): Promise<void> {
  const collection = world.collection(name);
  await collection.createIndex({ tenant: 1, at: 1, _id: 1 });
  await collection.insertMany(people.map((each) => ({ ...each })) as never[]);
  world.writePolicy(name, policy(name, lines));
  const { exitCode, stdout, stderr } = await world.moraine('policy', 'publish', name, '--yes');
  expect([exitCode, stdout, stderr]).toEqual([0, expect.any(String), expect.any(String)]);
}

async function all(name: string): Promise<Person[]> {
  return (await world.collection(name).find({}).sort({ _id: 1 }).toArray()) as unknown as Person[];
}

async function run(name: string) {
  const { exitCode, json, stderr } = await world.moraine('run', name, ...AS_OF);
  expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
  const { policies } = JSON.parse(JSON.stringify(json));
  return policies[0];
}

beforeAll(async () => {
  world = await openCliWorld(names);
}, 60_000);
afterAll(() => world.close());

test('delete: what is due goes without a vault, with a certificate that anyone can check; a second run does nothing', async () => {
  await fill('logs', 'then: delete', [
    person('a'),
    person('b', { tenant: 'south' }),
    person('c', { at: new Date('2022-01-01') }),
  ]);
  const { exitCode, json } = await world.moraine('plan', 'logs', ...AS_OF);
  expect([exitCode, json]).toMatchObject([0, { policies: [{ totals: { due: 2, taken: 2 } }] }]);
  expect(await run('logs')).toMatchObject({
    archives: [],
    totals: { archived: 0, deleted: 2 },
    disposed: [{ kind: 'delete', certificate: expect.any(String) }, { kind: 'delete' }],
  });
  expect((await all('logs')).map(({ _id }) => _id)).toEqual(['c']);
  const [certificate] = await ledger().collection('certificates').find({ policy: 'logs' }).toArray();
  const shown = await world.moraine('certificate', 'show', String(certificate?._id));
  expect(shown.stdout).toMatch(
    /^1 record of customer \w+, whose owner is acme, was deleted\. No archive of it was made\.$/m,
  );
  expect(shown.stdout).toMatch(/^ +Records +1 taken; 1 deleted from the source$/m);
  expect((await world.moraine('certificate', 'verify')).exitCode).toBe(0);
  expect(await run('logs')).toMatchObject({ disposed: [], totals: { deleted: 0, selected: 0 } });
  expect(await ledger().collection('archives').countDocuments({ policy: 'logs' })).toBe(0);
}, 120_000);

describe('treat in place', () => {
  beforeEach(async () => {
    if ((await world.collection('people').countDocuments()) > 0) return;
    await fill('people', `then: [pseudonymise, redact, anonymise]\n${TREAT}`, [
      person('a'),
      person('b', { tenant: 'south', mail: 'kim@example.org' }),
      person('held', { mail: 'lee@example.org' }),
      person('young', { at: new Date('2022-01-01') }),
    ]);
  }, 60_000);

  test('a hold on one person keeps that record; the others are treated in the named fields only', async () => {
    const on = ['--owner', 'acme', '--facet', 'subject=lee@example.org'];
    const placed = await world.moraine('hold', 'place', '--case', 'C-1', '--reason', 'a claim', ...on, '--yes');
    expect([placed.exitCode, placed.stderr]).toEqual([0, expect.any(String)]);
    const before = await all('people');
    expect(await run('people')).toMatchObject({ totals: { treated: 2, deleted: 0, held: 0 } });
    const [a, b, held, young] = await all('people');
    expect([held, young]).toEqual([before[2], before[3]]);
    expect(Object.keys(a ?? {})).toEqual(['_id', 'tenant', 'at', 'mail', 'notes', 'n', '_moraine']);
    expect(a).toMatchObject({ at: before[0]?.at, n: 1, mail: expect.stringMatching(/^pseudonym:[\w-]{27}$/) });
    expect(a?.notes).toEqual([{ by: a?.mail, text: '[redacted]' }, { text: '[redacted]' }]);
    // Another customer of the same owner: the same person has the same pseudonym there.
    expect(b?.notes?.[0]?.by).toBe(a?.mail);
    expect(b?.mail).not.toBe(a?.mail);
    const treated = (await world.moraine('policy', 'show', 'people', '--json')).stdout;
    expect(treated).toContain(a?._moraine?.treated);
  }, 120_000);

  test('released, the held record is treated too; a further run does nothing; the certificate names fields and no person', async () => {
    const [hold] = await ledger().collection('holds').find({}).toArray();
    const released = await world.moraine('hold', 'release', String(hold?._id), '--reason', 'settled', '--yes');
    expect(released.exitCode).toBe(0);
    // A released hold holds for a grace; what is due by then is looked at by the real clock.
    await ledger().collection('holds').deleteMany({});
    expect(await run('people')).toMatchObject({ totals: { treated: 1 } });
    const once = await all('people');
    expect(once.filter(({ _moraine }) => _moraine !== undefined)).toHaveLength(3);
    expect(await run('people')).toMatchObject({ disposed: [], totals: { treated: 0 } });
    expect(await all('people')).toEqual(once);
    const certificates = await ledger().collection('certificates').find({ policy: 'people' }).toArray();
    const bodies = certificates.map(({ body }) => JSON.parse(String(body)));
    expect(bodies.map(({ what, records }) => [what, records.treated])).toEqual([
      ['records treated', 1],
      ['records treated', 1],
      ['records treated', 1],
    ]);
    expect(bodies[0].fields).toEqual(
      expect.arrayContaining([
        { field: 'mail', how: 'pseudonymise' },
        { field: 'notes.text', how: 'redact' },
        { field: 'phone', how: 'anonymise' },
      ]),
    );
    expect(JSON.stringify([certificates, await ledger().collection('audit').find({}).toArray()])).not.toMatch(
      /jo@example|kim@example|lee@example/i,
    );
    const { stdout } = await world.moraine('certificate', 'show', String(certificates[0]?._id));
    expect(stdout).toMatch(
      /^Fields of 1 record of customer \w+, whose owner is acme, were removed or replaced in place\.$/m,
    );
    for (const how of ['mail: replaced by a pseudonym', 'notes.text: replaced by a fixed text', 'phone: removed'])
      expect(stdout).toMatch(new RegExp(`^ +Field +${how}$`, 'm'));
    expect((await world.moraine('audit', 'verify', '--json')).json).toMatchObject({ ok: true });
  }, 120_000);
});

test('archive, then treat: the vault has the whole record, the source a treated one; restored as it was', async () => {
  const lines = `then: [archive, anonymise]\nanonymise: [phone, mail]\narchive: { for: 7 years, vault: cold, maxWait: 1 day }`;
  await fill('contacts', lines, [person('a'), person('b', { mail: 'kim@example.org' })]);
  const { archives, totals } = await run('contacts');
  expect(totals).toMatchObject({ archived: 2, treated: 2, deleted: 0, changed: 0, pending: 0 });
  expect(archives).toMatchObject([{ state: 'cleared', records: 2 }]);
  expect((await all('contacts')).map((each) => [each._id, each.mail, each.phone, each.n])).toEqual([
    ['a', undefined, undefined, 1],
    ['b', undefined, undefined, 1],
  ]);
  expect(await run('contacts')).toMatchObject({ archives: [], totals: { archived: 0, treated: 0 } });

  const archive = String(archives[0].id);
  expect((await world.moraine('archive', archive)).stdout).toContain('2 treated');
  expect(
    (await world.moraine('retrieve', archive, '--tier', 'expedited', '--identity', world.identity, '--yes')).exitCode,
  ).toBe(0);
  await world.emulator.advance('PT6H');
  const restored = await world.moraine(
    'restore',
    archive,
    '--identity',
    world.identity,
    '--out',
    'out',
    '--yes',
    '--json',
  );
  expect([restored.exitCode, restored.json]).toMatchObject([0, { records: 2, void: 0 }]);
  const bson = readFileSync(join(world.folder, 'out', `${names.database}_data`, 'contacts.bson'));
  expect(bson.includes('+31 20 123')).toBe(true);
  expect(bson.includes('kim@example.org')).toBe(true);
}, 180_000);

describe('a non-production installation', () => {
  test('what its policy archives is deleted: nothing goes into a vault; and nothing is restored into a server of production', async () => {
    const staging = await openCliWorld({ ...names, database: `${names.database}_staging` });
    try {
      staging.configure({ environment: 'non-production' });
      const calls = staging.collection('calls');
      await calls.createIndex({ tenant: 1, at: 1, _id: 1 });
      await calls.insertMany([person('old'), person('young', { at: new Date() })] as never[]);
      staging.writePolicy(
        'calls',
        policy('calls', 'then: archive\narchive: { for: 1 year, vault: cold }').replace(
          world.namespace('calls'),
          staging.namespace('calls'),
        ),
      );
      expect((await staging.moraine('policy', 'publish', '--yes')).exitCode).toBe(0);
      const ran = await staging.moraine('run', '--yes', '--json');
      expect([ran.exitCode, ran.json]).toMatchObject([0, { policies: [{ archives: [], totals: { deleted: 1 } }] }]);
      expect(await calls.distinct('_id')).toEqual(['young']);

      const db = staging.client.db(`${names.database}_staging_ledger`);
      expect(await db.collection('archives').countDocuments()).toBe(0);
      // As if it had been made before: what a restore refuses does not depend on where the archive came from.
      await db.collection('archives').insertOne({ ...anArchive(), rev: 0 } as never);
      const stamp = staging.client.db(`${names.database}_staging_production`).collection('installation');
      const restore = () => {
        const { mongodb } = stackUrls();
        return staging.moraine('restore', 'a1', '--identity', staging.identity, '--into', mongodb, '--yes', '--json');
      };
      await stamp.insertOne({ _id: 'installation', environment: 'production' } as never);
      expect((await restore()).json).toMatchObject({
        error: { code: 'ENVIRONMENT_MISMATCH', message: expect.stringContaining('ledger of a production') },
      });
      const elsewhere = ['restore', 'a1', '--identity', staging.identity, '--into', 'mongodb://127.0.0.1:1', '--yes'];
      expect((await staging.moraine(...elsewhere, '--json')).json).toMatchObject({
        error: { code: 'ENVIRONMENT_MISMATCH', message: expect.stringContaining('127.0.0.1:1 is not') },
      });
    } finally {
      await staging.close();
    }
  }, 120_000);
});

test('explain says of a treated record that it was treated and stays', async () => {
  const explained = await world.moraine('explain', world.namespace('contacts'), 'a', '--as-of', '2022-06-01');
  expect(explained.exitCode).toBe(0);
  expect(explained.stdout).toContain('treated already');
}, 60_000);
