/** policies/workforce-management: two years in use to the second, seven in a vault of owner and customer, then destroyed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BSON } from 'bson';
import type { Document } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import {
  done,
  grantAll,
  installSchedule,
  planned,
  publishAll,
  reconcileUntilNone,
  refusal,
  retrieve,
  runAll,
  shownBy,
} from '../harness/schedule.ts';
import { testNames } from '../harness/stack.ts';

const SCHEDULE = 'workforce-management';
const names = testNames(import.meta.filename);
const elsewhere = { ...names, database: `${names.database}_np`, vaultPrefix: `${names.vaultPrefix}-np` };
let world: CliWorld;
let other: CliWorld;

/** Owner and employer of every record; alice administers acme, bob administers globex. */
const PARTIES = [
  ['acme', 'harbour'],
  ['acme', 'rail'],
  ['globex', 'clinics'],
] as const;
function owners({ recipient, otherIdentity }: CliWorld): string {
  const [, others = ''] = /public key: (\S+)/.exec(readFileSync(otherIdentity, 'utf8')) ?? [];
  const by = (name: string, key: string) => `{ administrators: [{ name: ${name}, recipient: ${key} }] }`;
  return `{ acme: ${by('alice', recipient)}, globex: ${by('bob', others)} }`;
}

const MONTHS = 31;
/** The last second of the two years of the record `leap`, and the instant after it. */
const BEFORE = '2022-02-28T08:59:59Z';
const AT = '2022-02-28T09:00:00Z';
const RUN_AT = '2022-06-01';

function shift(owner: string, employer: string, n: number, createdAt: Date): Document {
  return {
    _id: `${employer}-${n}`,
    owner,
    employer,
    createdAt,
    employee: { number: `E${n % 7}`, name: `Employee ${n % 7}` },
    site: ['quay', 'depot', 'ward'][n % 3],
    contract: n % 10 === 9 ? 'trial' : 'fixed',
    hours: 4 + (n % 5),
  };
}

async function seed(target: CliWorld, records: readonly Document[]): Promise<void> {
  for (const name of ['shifts', 'absences']) {
    await target.collection(name).createIndex({ owner: 1, employer: 1, createdAt: 1, _id: 1 });
    await target.collection(name).insertMany(records.map((record) => ({ ...record })) as never[]);
  }
}

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ owners: owners(world) });
  const months = Array.from({ length: MONTHS }, (_, n) => new Date(Date.UTC(2019, 5 + n, 3 + (n % 20), 9, n)));
  await seed(world, [
    ...PARTIES.flatMap(([owner, employer]) => months.map((at, n) => shift(owner, employer, n, at))),
    // 29 February, ten in the morning in Amsterdam: two years later it is 28 February, and also ten there.
    shift('acme', 'harbour', MONTHS, new Date('2020-02-29T09:00:00Z')),
  ]);
  installSchedule(world, SCHEDULE);
  await publishAll(world);
});
afterAll(async () => {
  await world.close();
  await other?.close();
});

const dueOf = async (asOf: string) => (await planned(world, asOf))['shifts']?.['due'];
const ids = async (name: string, filter: Document = {}) =>
  (await world.collection(name).find(filter).sort({ _id: 1 }).toArray()).map(({ _id }) => String(_id));
const olderThan = (instant: string) => ({ createdAt: { $lte: new Date(instant) } });

test('a life: two years to the second, exceptions with a second person, a vault for each owner and customer, its administrator alone, the certificate', async ({
  task,
}) => {
  // To the second: the record of 29 February is what differs between the two instants.
  expect(await dueOf(AT)).toBe(((await dueOf(BEFORE)) ?? 0) + 1);

  // Longer for one employer, shorter for trial contracts. Nothing happens before another person grants it.
  const before = await dueOf(RUN_AT);
  const ask = (...args: readonly string[]) =>
    world.moraine('exception', 'request', 'shifts', ...args, '--as-of', '2022-05-01', '--by', 'alice', '--yes');
  const harbour = await ask('--longer', '4 years', '--customer', 'harbour', '--open-ended', '--reason', 'union claim');
  const trial = ['--value', 'contract=trial'];
  const trials = ['--shorter', '6 months', ...trial, '--open-ended', '--reason', 'privacy'];
  // Values are those of one owner.
  expect((await ask(...trials)).exitCode).toBe(2);
  const byOwner = [await ask(...trials, '--owner', 'acme'), await ask(...trials, '--owner', 'globex')];
  expect([harbour, ...byOwner].map(({ exitCode }) => exitCode)).toEqual([3, 3, 3]);
  expect(await dueOf(RUN_AT)).toBe(before);
  const waiting = await done(world, 'approve', 'list');
  const own = ['approve', 'grant', waiting[0].id, '--by', 'alice', '--yes'];
  expect(await refusal(world, 3, ...own)).toBe('APPROVAL_NOT_ALLOWED');
  // Who grants it says for which value it is; what is shown does not.
  for (const { id, shown } of waiting.slice(1)) {
    expect(shown).toMatchObject({ effect: 'shorter', value: { field: 'contract', values: 1 } });
    const grant = ['approve', 'grant', id, '--by', 'bea', '--yes', '--as-of', '2022-05-01'];
    expect(await refusal(world, 2, ...grant)).toBe('USAGE');
    expect(await done(world, ...grant, ...trial)).toMatchObject({ state: 'granted' });
  }
  expect(await grantAll(world, '--as-of', '2022-05-01')).toBe(1);
  const trialsUntil = (instant: string) => ({ contract: 'trial', ...olderThan(instant) });
  const gone = await ids('shifts', {
    $or: [
      { employer: { $ne: 'harbour' }, ...olderThan('2020-06-01') },
      { employer: { $ne: 'harbour' }, ...trialsUntil('2021-12-01') },
    ],
  });
  expect(await dueOf(RUN_AT)).toBe(gone.length);

  const records = new Map(
    (await world.collection('shifts').find().toArray()).map((record) => [String(record._id), record]),
  );
  const total = records.size;
  const counts = { selected: gone.length, archived: gone.length, deleted: gone.length, pending: 0 };
  expect((await runAll(world, RUN_AT, '--flush'))['shifts']).toMatchObject(counts);
  expect(await world.collection('shifts').countDocuments()).toBe(total - gone.length);
  expect(await ids('shifts', { _id: { $in: gone as never[] } })).toEqual([]);
  expect(await ids('shifts', { employer: 'harbour' })).toHaveLength(MONTHS + 1);
  expect((await ids('absences', olderThan('2020-06-01'))).length).toBe(0);

  // No vault is shared, and each says whose it is.
  const archives: readonly { id: string; policy: string; owner: string; customer: string; vault: string }[] =
    await done(world, 'archives');
  const vaults = new Map(archives.map(({ owner, customer, vault }) => [vault, `${owner} ${customer}`]));
  expect([...vaults.values()].sort()).toEqual(['acme harbour', 'acme rail', 'globex clinics']);
  for (const [name, party] of vaults) for (const word of party.split(' ')) expect(name).toContain(word);

  // Alice opens acme's archive; bob, the administrator of another owner, does not.
  const archive = archives.find(({ policy, customer }) => policy === 'shifts' && customer === 'rail')?.id ?? '';
  await retrieve(world, archive);
  const into = (identity: string, folder: string) => ['restore', archive, '--identity', identity, '--out', folder];
  expect(await refusal(world, 1, ...into(world.otherIdentity, 'bobs'))).toBe('IDENTITY_WRONG');
  expect(existsSync(join(world.folder, 'bobs'))).toBe(false);
  const { records: restored } = await done(world, ...into(world.identity, 'alices'), '--yes');
  const bytes = readFileSync(join(world.folder, 'alices', `${names.database}_data`, 'shifts.bson'));
  let at = 0;
  for (let n = 0; n < restored; n++) {
    const raw = bytes.subarray(at, at + bytes.readInt32LE(at));
    const record = BSON.deserialize(raw);
    expect(record['employer']).toBe('rail');
    expect(record).toEqual(records.get(record['_id']));
    at += raw.length;
  }
  expect(at).toBe(bytes.length);

  // Seven years from the end of the two, and not a day sooner.
  expect((await done(world, 'purge', '--yes', '--as-of', '2028-06-01')).purged).toEqual([]);
  const { purged } = await done(world, 'purge', '--yes', '--as-of', '2029-07-15');
  expect(purged).toHaveLength(archives.length);
  await reconcileUntilNone(world, '2029-07-15', ['purged']);
  const shown = await shownBy(world, `${names.database}_ledger`);
  expect(shown).toMatchObject({ purged: shown.archived, certificates: archives.length });
  task.meta.shown = shown;
}, 180_000);

test('non-production: the same files delete what is two years old; no vault, no archive, a certificate for each party', async ({
  task,
}) => {
  other = await openCliWorld(elsewhere);
  other.configure({ environment: 'non-production', owners: owners(other) });
  const monthsAgo = (months: number) => {
    const day = new Date();
    return new Date(day.setUTCMonth(day.getUTCMonth() - months));
  };
  await seed(
    other,
    [6, 23, 25, 40].flatMap((months, n) =>
      PARTIES.map(([owner, employer]) => shift(owner, employer, n, monthsAgo(months))),
    ),
  );
  installSchedule(other, SCHEDULE);
  await publishAll(other);
  const totals = await runAll(other, '');
  for (const name of ['shifts', 'absences']) {
    expect(totals[name]).toMatchObject({ archived: 0, deleted: 2 * PARTIES.length });
    expect(await other.collection(name).countDocuments()).toBe(2 * PARTIES.length);
  }
  expect(await done(other, 'archives', '--all')).toEqual([]);
  const shown = await shownBy(other, `${elsewhere.database}_ledger`);
  expect(shown).toMatchObject({ archived: 0, deleted: 4 * PARTIES.length, certificates: 2 * PARTIES.length });
  task.meta.shown = shown;
}, 60_000);
