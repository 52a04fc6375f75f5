/** Names that a policy uses: what MongoDB and the job queue take is taken, nothing else; and what was probably meant. */
import { describe, expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/load.ts';
import { nearest } from '../../src/policy/nearest.ts';
import { isSchedule } from '../../src/policy/schedule.ts';
import { zoneName } from '../../src/policy/zone.ts';

function load({ collection = 'support.chats', more = '', limits = '{ records: 1000, share: 0.5 }' }) {
  return loadPolicy(
    'chats.yaml',
    JSON.stringify({
      policy: 'chats',
      zone: 'UTC',
      dataset: { collection, owner: { field: 'owner' }, customer: { field: 'tenant' } },
      trigger: { field: 'createdAt' },
      active: '2 years',
      // biome-ignore lint/suspicious/noThenProperty: the word of the policy language; nobody awaits it.
      then: 'archive',
      archive: { for: '7 years', vault: 'cold' },
    }).replace(/}$/, `, "limits": ${limits}${more} }`),
  );
}

const database63 = 'd'.repeat(63);

describe('a collection', () => {
  test.each([
    'support.chats',
    'support.chats.archived',
    'support.a.system.b',
    'my-db_1.chats',
    'administrators.chats',
    `${database63}.chats`,
    `d.${'c'.repeat(253)}`,
    `d.${'é'.repeat(126)}c`,
  ])('%s', (collection) => {
    expect(load({ collection }).problems).toEqual([]);
  });

  test.each([
    ['without a database', 'chats'],
    ['with an empty database', '.chats'],
    ['without a name', 'support.'],
    ['with an empty first part', 'support..chats'],
    ['with an empty last part', 'support.chats.'],
    ['with a slash in its database', 'sup/port.chats'],
    ['with a space before its database', ' support.chats'],
    ['with a space after its database', 'support .chats'],
    ['with $ in its name', 'support.chats$'],
    ['with $ before its name', 'support.$chats'],
    ['of the system', 'support.system.users'],
    ['of admin', 'admin.chats'],
    ['of config', 'config.chats'],
    ['of local', 'local.chats'],
    ['with a database of 64', `d${database63}.chats`],
    ['of 256 bytes', `d.${'c'.repeat(254)}`],
    ['of 256 bytes in fewer letters', `d.${'é'.repeat(127)}`],
  ])('%s: refused', (_, collection) => {
    expect(load({ collection }).problems.map(({ field }) => field)).toEqual(['dataset.collection']);
  });
});

describe('a schedule', () => {
  test.each([
    '0 2 * * *',
    '*/15 8-18 * * 1-5',
    '0 2 * MAR,JUN THU',
    '0 2 * * MON-THU',
    '0 2 * * tue,thu',
    ' 0  2 * *  * ',
  ])('%j', (text) => {
    expect(isSchedule(text)).toBe(true);
  });

  test.each([
    '',
    '0 2 * *',
    '0 0 2 * * *',
    'H 2 * * *',
    '0 2 * * THURSH',
    '0 2 * MARCH *',
    '0 H(1-3) * * *',
    '0 2 * * TH',
    '0 2 30 2 *',
    '60 2 * * *',
    '@daily',
  ])('%j: refused', (text) => {
    expect(isSchedule(text)).toBe(false);
  });

  test('is kept with one space between its fields, so that spaces make no other version', () => {
    expect(load({ more: ', "schedule": " 0  2 * *  1 "' }).loaded?.policy.schedule).toBe('0 2 * * 1');
    expect(load({}).loaded?.policy.schedule).toBeNull();
  });
});

test.each([
  ['no group', 'null', null, null],
  ['a list', '[1]', null, null],
  ['texts', '{ "records": "5", "share": "0.5" }', null, null],
  ['zero', '{ "records": 0, "share": 0 }', null, null],
  ['truth', '{ "records": true, "share": true }', null, null],
  ['the smallest', '{ "records": 1, "share": 0.0001 }', 1, 0.0001],
  ['the largest', '{ "records": 9007199254740991, "share": 1 }', 9007199254740991, 1],
])('caps: %s', (_, limits, records, share) => {
  expect(load({ limits }).loaded?.policy.limits).toEqual({ records, share });
});

test.each([
  ['zome', ['zone', 'active'], 'zone'],
  ['ZONE', ['zone'], 'zone'],
  ['zonexx', ['zone'], 'zone'],
  ['abcdef', ['abc'], null],
  ['zone', ['timezonezone'], null],
  ['zone', ['zonetimezone'], null],
  ['ab', ['ba', 'abc'], 'abc'],
  ['x', ['y'], 'y'],
  ['x', [], null],
])('%s of %j: %s was meant', (word, known, meant) => {
  expect(nearest(word, known)).toBe(meant);
});

test.each([
  ['europe/amsterdam', 'Europe/Amsterdam'],
  ['UTC', 'UTC'],
  ['+02:00', null],
  ['02:00Z', null],
  ['Europe', null],
  ['', null],
])('zone %j is %j', (text, name) => {
  expect(zoneName(text)).toBe(name);
});
