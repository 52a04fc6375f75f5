/** Notices and messages: the words of a policy for one owner and customer, escaped for Markdown and HTML. */
import { expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { messageOf } from '../../src/notify/message.ts';
import type { Notice } from '../../src/notify/notice.ts';
import { noticeDocument, noticeTitle } from '../../src/notify/notice-document.ts';
import { htmlOf, markdownOf } from '../../src/notify/tree.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { termsOf } from '../../src/policy/terms.ts';
import { comingTelling, inForceTelling, purgeTelling } from '../contract/tellings.ts';

const NORTH = { owner: 'acme', customer: 'north' };

const CHATS: Policy = {
  v: 1,
  name: 'chats',
  zone: 'Europe/Amsterdam',
  dataset: {
    collection: id.namespace('support.chats'),
    owner: { field: 'owner' },
    customer: { field: 'tenant' },
    version: null,
    facets: {},
  },
  trigger: { kind: 'date', field: 'createdAt' },
  active: 'P2Y',
  disposition: 'archive',
  archive: { for: 'P7Y', vault: id.vaultKey('cold'), verify: 'checksum', dueWindow: 'P30D', maxWait: 'P7D' },
  grace: 'P7D',
  limits: { records: 1, share: 1 },
  schedule: null,
};

const active = (rule: Policy['active'], of: { owner: string; customer: string | null } = NORTH) =>
  termsOf({ ...CHATS, active: rule }, of, 'production').active;

test('periods in words: fixed, at once, by tier, by months in a field, until a date', () => {
  expect(active('P1Y6M')).toEqual(['1 year 6 months']);
  expect(active('P0D')).toEqual(['no time: at once']);
  expect(active(null)).toEqual(['until that date']);
  expect(active({ by: { field: 'plan' }, of: { enterprise: 'P2Y' }, otherwise: 'P3M' })).toEqual([
    '2 years, where “plan” is enterprise',
    '3 months otherwise',
  ]);
  expect(active({ months: { field: 'keep' }, atMost: 120, otherwise: 'P1Y' })).toEqual([
    'as many months as “keep” says, at most 10 years; 1 year where it says nothing',
  ]);
  expect(active({ until: { lookUp: 'contract', field: 'endsAt' }, atMost: 'P5Y' })).toEqual([
    'until the date that “endsAt” of its contract says, at most 5 years',
  ]);
});

test("a customer's own period stands in its notice alone; what is there by nature of an object is nobody's", () => {
  const rule = { by: 'customer', of: { north: 'P1Y', south: 'P9Y' }, otherwise: 'P3M' } as const;
  expect(active(rule)).toEqual(['1 year']);
  expect(active(rule, { owner: 'acme', customer: 'constructor' })).toEqual(['3 months']);
  const toOwner = active(rule, { owner: 'acme', customer: null }).join();
  expect(toOwner).toBe('3 months, where the customer has no period of its own');
  const byOwner = { by: 'owner', of: { acme: rule, zeta: 'P8Y' }, otherwise: 'P2Y' } as const;
  expect(active(byOwner)).toEqual(['1 year']);
  expect(active(byOwner, { owner: 'other', customer: 'north' })).toEqual(['2 years']);
});

test('a rule about other owners and customers is not told', () => {
  const rules: Policy['rules'] = [
    { name: 'all', specificity: 'organisation', when: null, delete: 'P10Y' },
    { name: 'zeta', specificity: 'owner', when: { owner: ['zeta'] }, retain: 'P5Y' },
    { name: 'south', specificity: 'customer', when: { customer: ['south'] }, retain: 'P5Y' },
    {
      name: 'legal',
      specificity: 'label',
      when: { value: { ref: { field: 'label' }, is: ['a', 'b'] } },
      retain: 'P7Y',
    },
  ];
  expect(termsOf({ ...CHATS, rules }, NORTH, 'production').rules).toEqual([
    'gone after 10 years where nothing retains it longer (rule “all”)',
    'kept for at least 7 years, where “label” is a or b (rule “legal”)',
  ]);
});

test('what becomes of a record: archived, deleted, treated, both; never archived outside of production', () => {
  const then = (change: Partial<Policy>, environment = 'production') => {
    const { disposition, archive } = termsOf({ ...CHATS, ...change }, NORTH, environment);
    return [disposition.join('; '), archive.join()];
  };
  const treat = [{ field: 'mail', how: 'pseudonymise' }] as const;
  expect(then({})).toEqual(['the record is moved into an encrypted archive, and deleted where it was', '7 years']);
  expect(then({}, 'non-production')).toEqual(['the record is deleted; no copy is kept', '']);
  expect(then({ disposition: 'delete', archive: null })).toEqual(['the record is deleted; no copy is kept', '']);
  const treated = 'the record stays where it is; “mail” in it is replaced by a pseudonym';
  expect(then({ disposition: 'treat', treat, archive: null })).toEqual([treated, '']);
  expect(then({ treat })).toEqual([`a copy goes into an encrypted archive; ${treated}`, '7 years']);
});

const NOTICE: Notice = {
  owner: id.owner('acme'),
  customer: id.customer('<img src=x onerror=alert(1)>\n\n# Owned | `x` [a](http://evil.example)'),
  installation: 'i-1',
  environment: 'production',
  asOf: new Date('2026-11-22T12:00:00Z'),
  regions: [],
  administrators: [{ name: 'alice', recovery: false }],
  entries: [
    {
      policy: 'chats',
      version: 'f'.repeat(64),
      since: new Date('2026-01-01'),
      terms: termsOf(CHATS, NORTH, 'production'),
      sourceRegion: 'eu-west-1',
      vault: { key: 'cold', backend: 'glacier', region: 'eu-west-1', name: 'x-acme-north' },
      copies: { archives: 1, records: 1, firstPurgeAt: new Date('2030-01-01'), lastPurgeAt: new Date('2030-01-01') },
      holds: 1,
      exceptions: 0,
    },
  ],
};

test('a notice says what, how long, where, who, and counts holds and exceptions', () => {
  const text = markdownOf(noticeDocument(NOTICE));
  for (const words of [
    'each record of support.chats',
    '2 years',
    '7 years',
    'Glacier vault x-acme-north, eu-west-1',
    '1 record in 1 archive, to be destroyed on 2030-01-01',
    '1 hold covers something of it',
    'alice',
    'since 2026-01-01',
  ])
    expect(text.toLowerCase()).toContain(words.toLowerCase());
});

test('a name from the source is shown, in Markdown and in HTML, and does nothing', () => {
  const text = markdownOf(noticeDocument(NOTICE));
  expect(text).not.toMatch(/^# Owned/m);
  expect(text).not.toMatch(/(?<!\\)<img/);
  expect(text).not.toMatch(/(?<!\\)\[a\]\(/);
  const html = htmlOf(noticeDocument(NOTICE), noticeTitle(NOTICE));
  expect(html).not.toContain('<img');
  expect(html).not.toContain('<a ');
  expect(html).toContain('&#x3C;img src=x onerror=alert(1)>');
  expect(html).toMatch(/^<!doctype html><html lang="en">/);
  expect(html).toContain('<time>2030-01-01</time>');
});

test('nobody who could open an archive, and no policy, are said plainly', () => {
  const text = markdownOf(noticeDocument({ ...NOTICE, administrators: [], entries: [] }));
  expect(text).toContain('has no designated administrator');
  expect(text).toContain('No policy is in force');
});

test('a message outside of production says so in its subject, and its JSON is what the ledger holds', () => {
  const telling = { ...purgeTelling('n1'), environment: 'sandbox' };
  const { subject, json } = messageOf(telling);
  expect(subject).toMatch(/^\[sandbox\] /);
  expect(json).toMatchObject({ id: 'n1', kind: 'purge', owner: 'acme', news: telling.news });
  expect(messageOf(inForceTelling('n1')).subject).toBe('Retention for acme: what is in force has changed');
});

test('what comes is told beside what is in force, only what differs; what was withdrawn is said', () => {
  const { subject, text } = messageOf(comingTelling('n1'));
  expect(subject).toBe('Retention for acme: what is in force will change on 2026-12-01');
  expect(text).toContain(
    'Policy **chats** will change on 2026-12-01 (2026-12-01T10:00:00.000Z), to version `cccccccccccc`.',
  );
  expect(text).toContain('Policy **calls** will not change on 2026-12-01');
  expect(text).toMatch(/\| In use +\| 2 years, where “plan” is enterprise; 3 months otherwise\. \| 1 year\. +\|/);
  expect(text).toMatch(/\| Rules +\| None\. +\| Kept for at least 3 years \(rule “tax”\)\. \|/);
  expect(text).not.toContain('Time zone');
  const news = comingTelling('n1').news;
  if (news.kind !== 'coming') throw new Error('not what was expected');
  const withdrawn = { ...comingTelling('n1'), news: { ...news, policies: news.policies.slice(1) } };
  expect(messageOf(withdrawn).subject).toBe('Retention for acme: a change that was announced will not come');
});
