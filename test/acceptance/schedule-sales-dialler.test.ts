/** policies/sales-dialler: one period in months, bots, contracts, lists that expire, and thirty days of activity. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Document, GridFSBucket, ObjectId } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliWorld, openCliWorld } from '../harness/cli.ts';
import {
  done,
  grantAll,
  installSchedule,
  monthly,
  publishAll,
  reconcileUntilNone,
  refusal,
  retrieve,
  runAll,
  shownBy,
} from '../harness/schedule.ts';
import { testNames } from '../harness/stack.ts';

const SCHEDULE = 'sales-dialler';
const names = testNames(import.meta.filename);
let world: CliWorld;

const AS_OF = '2024-06-01';
/** What each customer set. More than ten years is never taken, and west set nothing. */
const SETTINGS = [
  { tenant: 'north', keepMonths: 24 },
  { tenant: 'south', keepMonths: 240 },
];
const MONTHS = { north: 24, south: 120, west: 12 };
const TENANTS = ['north', 'south', 'west'] as const;
const RECORDINGS = { north: ['regulated', 5 * 12], south: ['quality', 3], west: ['none', 0] } as const;
/** Every third month since 2011. */
const QUARTERS = monthly('2011-02-15T09:00:00Z', 160).filter((_, n) => n % 3 === 0);
/** A third of it: the newest. */
const RECENT = QUARTERS.slice(-18);

function contact(list: string, n: number, createdAt: Date): Document {
  return {
    _id: `${list}-${n}`,
    tenant: 'north',
    list,
    createdAt,
    name: `Contact ${n}`,
    email: `c${n}@example.org`,
    phones: [`+31 6 ${1000 + n}`],
    city: 'Utrecht',
    outcome: n % 2 === 0 ? 'sold' : 'no answer',
  };
}

beforeAll(async () => {
  world = await openCliWorld(names);
  world.configure({ owners: `{ dialler: { administrators: [{ name: alice, recipient: ${world.recipient} }] } }` });
  const insert = async (name: string, documents: readonly object[]) =>
    await world.collection(name).insertMany(documents as never[]);
  const perTenant = (days: readonly Date[], make: (tenant: string, n: number) => object = () => ({})) =>
    TENANTS.flatMap((tenant) => days.map((at, n) => ({ _id: `${tenant}-${n}`, tenant, at, ...make(tenant, n) })));
  for (const name of ['chats', 'emails', 'notes', 'discussions', 'recordings'])
    await world.collection(name).createIndex({ tenant: 1, at: 1, _id: 1 });
  await world.collection('contacts').createIndex({ tenant: 1, createdAt: 1, _id: 1 });
  await world.collection('activity').createIndex({ tenant: 1, _id: 1 });
  for (const name of ['settings', 'contracts'])
    await world.collection(name).createIndex({ tenant: 1 }, { unique: true });
  await insert('settings', SETTINGS);
  await insert(
    'contracts',
    TENANTS.map((tenant) => ({ tenant, recordings: RECORDINGS[tenant][0] })),
  );
  await insert('bots', [
    { _id: 'greeter', keepMonths: 1 },
    { _id: 'closer', keepMonths: 12 },
  ]);
  await insert(
    'chats',
    perTenant(QUARTERS, (_tenant, n) => ({ text: `chat ${n}` })),
  );
  await insert(
    'emails',
    perTenant(RECENT, (_tenant, n) => ({ subject: `offer ${n}` })),
  );
  await insert(
    'notes',
    perTenant(RECENT, (_tenant, n) => ({ text: `note ${n}` })),
  );
  await insert(
    'discussions',
    perTenant(monthly('2023-01-15T09:00:00Z', 17), (_tenant, n) => ({
      bot: n % 2 === 0 ? 'greeter' : 'closer',
      visitor: { name: `Visitor ${n}`, phone: `+31 6 ${n}`, address: { street: 'Kade 1' }, language: 'nl' },
      lines: [{ by: 'bot', text: 'Hello' }],
    })),
  );
  const voice = new GridFSBucket(world.client.db(world.namespace('').split('.')[0]), { bucketName: 'voice' });
  for (const tenant of TENANTS) {
    for (const [n, at] of RECENT.slice(-6).entries()) {
      const file = new ObjectId();
      await new Promise((resolve, reject) =>
        voice
          .openUploadStreamWithId(file, `${tenant}-${n}.wav`)
          .on('finish', resolve)
          .on('error', reject)
          .end(Buffer.alloc(2_000, n)),
      );
      await insert('recordings', [{ _id: `${tenant}-${n}`, tenant, at, file, seconds: 30 + n }]);
    }
  }
  await insert('lists', [
    { _id: 'spring', expiresAt: new Date('2024-05-25') },
    { _id: 'autumn', expiresAt: new Date('2024-12-01') },
    { _id: 'undated' },
  ]);
  await insert('contacts', [
    ...Array.from({ length: 12 }, (_, n) => contact('spring', n, new Date('2024-01-10'))),
    ...Array.from({ length: 8 }, (_, n) => contact('autumn', n, new Date('2024-01-20'))),
    ...Array.from({ length: 4 }, (_, n) => contact('undated', n, new Date('2022-10-01'))),
  ]);
  await insert(
    'activity',
    Array.from({ length: 60 }, (_, day) => ({
      _id: ObjectId.createFromTime(Date.parse(AS_OF) / 1000 - day * 86_400 - 3_600),
      tenant: TENANTS[day % 3],
      what: 'login',
    })),
  );
  installSchedule(world, SCHEDULE);
  await publishAll(world);
});
afterAll(async () => {
  await world.close();
});

const count = async (name: string, filter: Document = {}) => await world.collection(name).countDocuments(filter);
const contactsOf = async (list: string) => await world.collection('contacts').find({ list }).sort({ _id: 1 }).toArray();

/** How many lie so many months and more before the day. */
function older(days: readonly Date[], months: number): number {
  return days.filter((at) => {
    const until = new Date(at);
    until.setUTCMonth(until.getUTCMonth() + months);
    return until <= new Date(AS_OF);
  }).length;
}

test('a life: months for all data, a cap of ten years, people out of bot discussions, files by contract, lists that expire and leave the archive at once', async ({
  task,
}) => {
  await runAll(world, AS_OF, '--flush');
  for (const tenant of TENANTS) {
    const left = [
      await count('chats', { tenant }),
      await count('emails', { tenant }),
      await count('notes', { tenant }),
    ];
    const recent = RECENT.length - older(RECENT, MONTHS[tenant]);
    expect([tenant, left]).toEqual([tenant, [QUARTERS.length - older(QUARTERS, MONTHS[tenant]), recent, recent]]);
    const voice = RECENT.slice(-6);
    const kept = voice.length - older(voice, RECORDINGS[tenant][1]);
    expect([tenant, await count('recordings', { tenant })]).toEqual([tenant, kept]);
  }
  // South asked for twenty years and has ten.
  const [oldest] = await world.collection('chats').find({ tenant: 'south' }).sort({ at: 1 }).limit(1).toArray();
  expect(oldest?.['at'].getTime()).toBeGreaterThan(Date.parse('2014-06-01'));
  expect(await count('voice.files')).toBe(await count('recordings'));
  expect(await world.collection('voice.chunks').countDocuments()).toBe(await count('recordings'));
  expect(await count('activity')).toBe(30);

  // Discussions stay, by each bot's own months, without the visitor and with what the bot said.
  const discussions = await world.collection('discussions').find().toArray();
  expect(discussions).toHaveLength(3 * 17);
  for (const { at, bot, visitor, lines } of discussions) {
    const isOver = older([at], bot === 'greeter' ? 1 : 12) === 1;
    expect(Object.keys(visitor)).toEqual(isOver ? ['language'] : ['name', 'phone', 'address', 'language']);
    expect(lines).toEqual([{ by: 'bot', text: 'Hello' }]);
  }

  // The spring list has expired: archived whole, and what stays is nobody. The others wait for their dates.
  const nobody = { city: 'Utrecht', outcome: 'sold', list: 'spring' };
  const spring = await contactsOf('spring');
  expect(spring[0]).toMatchObject(nobody);
  for (const left of spring)
    expect(Object.keys(left)).toEqual(['_id', 'tenant', 'list', 'createdAt', 'city', 'outcome', '_moraine']);
  expect((await contactsOf('autumn'))[0]).toEqual(contact('autumn', 0, new Date('2024-01-20')));
  const archiveOf = async () => {
    const all: readonly { id: string; state: string; records: number }[] = await done(world, 'archives');
    return all.filter(({ state }) => state === 'cleared');
  };
  const [archive, ...none] = await archiveOf();
  expect([archive?.records, none]).toEqual([12, []]);
  await retrieve(world, archive?.id ?? '');
  await done(world, 'restore', archive?.id ?? '', '--identity', world.identity, '--out', 'spring', '--yes');
  const copy = readFileSync(join(world.folder, 'spring', `${names.database}_data`, 'contacts.bson'));
  expect(copy.includes('c7@example.org') && copy.includes('+31 6 1007')).toBe(true);

  // Somebody changes the date of the autumn list, once, for all of its contacts; those without a date wait two years.
  await world
    .collection('lists')
    .updateOne({ _id: 'autumn' as never }, { $set: { expiresAt: new Date('2024-06-02') } });
  expect((await runAll(world, '2024-06-03', 'contacts', '--flush'))['contacts']).toMatchObject({
    archived: 8,
    treated: 8,
  });
  expect((await runAll(world, '2024-10-02', 'contacts', '--flush'))['contacts']).toMatchObject({
    archived: 4,
    treated: 4,
  });

  // The spring list must be out of the archive at once: another person grants it, and the others stay.
  const early = ['purge', '--archive', archive?.id ?? '', '--early', '--reason', 'list withdrawn', '--yes'];
  const order = [...early, '--as-of', '2024-10-02', '--by', 'alice'];
  expect(await refusal(world, 3, ...order)).toBe('APPROVAL_NEEDED');
  expect(await archiveOf()).toHaveLength(3);
  expect(await grantAll(world)).toBe(1);
  expect((await done(world, ...order)).purged).toEqual([archive?.id]);
  expect(await archiveOf()).toHaveLength(2);
  expect(await refusal(world, 1, 'retrieve', archive?.id ?? '', '--identity', world.identity, '--yes')).toBe(
    'ARCHIVE_NOT_RETRIEVABLE',
  );

  await done(world, 'purge', '--yes', '--as-of', '2025-11-15');
  await reconcileUntilNone(world, '2025-11-15', ['purged']);
  const shown = await shownBy(world, `${names.database}_ledger`);
  expect(shown).toMatchObject({ archived: 24, purged: 24 });
  task.meta.shown = shown;
}, 180_000);
