/** What people read: every problem of a policy in the words that its author needs, every reason as a whole sentence. */
import { describe, expect, test } from 'vitest';
import { id } from '../../src/ids.ts';
import { checkCaps } from '../../src/policy/caps.ts';
import { compile, type DecisionFacts } from '../../src/policy/compile.ts';
import { decide, type HoldScope } from '../../src/policy/decide.ts';
import { loadPolicies, loadPolicy } from '../../src/policy/load.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { lastPurgeInWindow, overdueAfter, sealDecision, waitsUntil } from '../../src/policy/window.ts';

const GOOD = `policy: chats
zone: Europe/Amsterdam
dataset:
  collection: support.chats
  owner: { field: owner }
  customer: { field: tenant }
trigger: { field: createdAt }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 1000, share: 0.5 }
`;
const swap = (from: string, to: string) => {
  if (!GOOD.includes(from)) throw new Error(`not in the example: ${from}`);
  return GOOD.replace(from, to);
};
const withFacets = (facets: string) => swap('{ field: tenant }', `{ field: tenant }\n  facets: ${facets}`);
const told = (text: string) =>
  loadPolicy('chats.yaml', text).problems.map(({ line, field, expected, found, hint }) => {
    return `${line} ${field}: expected ${expected}, found ${found}${hint === undefined ? '' : `. ${hint}`}`;
  });

const FIELD = 'expected the name of a field, with dots for fields inside fields, such as contact.email';
const NAME = 'expected a name of lower-case letters, digits and dashes that begins with a letter, at most 63 long';
const ZONE = 'expected a time zone such as Europe/Amsterdam or UTC';
const COLLECTION = 'expected database.collection, such as support.chats';
const OWNER = 'expected { field: <name> } or { value: <text> } for the owner';
const CUSTOMER = 'expected { field: <name> } or { value: <text> } for the customer';
const TRIGGER =
  'expected { field: <date field> }, { objectId: _id }, { expires: <date field> }, or event, latestOf or expires with created and latest';
const PERIOD = 'expected a period such as "2 years", "18 months" or P1Y6M';
const VAULT = 'expected the name of a vault in moraine.yaml';
const CRON =
  'expected hourly, daily, nightly or monthly, or five cron fields (minute, hour, day of month, month, day of week), such as "0 2 * * *"';
const POLICY = 'expected a policy: a group of fields that begins with policy: <name>';
const KEYS =
  'expected one of policy, zone, dataset, lookUps, trigger, active, rules, then, anonymise, redact, pseudonymise, archive, grace, limits, schedule';

describe('a problem of a policy', () => {
  test.each<[string, string, string[]]>([
    ['a name that is a number', swap('policy: chats', 'policy: 3'), [`1 policy: ${NAME}, found 3`]],
    ['a name with capitals', swap('policy: chats', 'policy: C'), [`1 policy: ${NAME}, found "C"`]],
    ['a zone that is a number', swap('Europe/Amsterdam', '3'), [`2 zone: ${ZONE}, found 3`]],
    ['a zone that is none', swap('Europe/Amsterdam', 'Mars'), [`2 zone: ${ZONE}, found "Mars"`]],
    ['a collection that is a number', swap('support.chats', '3'), [`4 dataset.collection: ${COLLECTION}, found 3`]],
    ['no database', swap('support.chats', 'chats'), [`4 dataset.collection: ${COLLECTION}, found "chats"`]],
    ['an owner as text', swap('{ field: owner }', 'acme'), [`5 dataset.owner: ${OWNER}, found "acme"`]],
    [
      'an owner with both',
      swap('{ field: owner }', '{ field: a, value: b }'),
      [`5 dataset.owner: ${OWNER}, found a map`],
    ],
    ['an owner’s field', swap('{ field: owner }', '{ field: 3 }'), [`5 dataset.owner.field: ${FIELD}, found 3`]],
    [
      'an owner’s value',
      swap('{ field: owner }', '{ value: "" }'),
      ['5 dataset.owner.value: expected text that is not empty, such as acme, found ""'],
    ],
    [
      'an owner’s value that is a number',
      swap('{ field: owner }', '{ value: 3 }'),
      ['5 dataset.owner.value: expected text that is not empty, such as acme, found 3'],
    ],
    [
      'an owner’s unknown key',
      swap('{ field: owner }', '{ field: a, more: 1 }'),
      ['5 dataset.owner.more: expected one of field, value, found "more"'],
    ],
    ['a customer as text', swap('{ field: tenant }', 'x'), [`6 dataset.customer: ${CUSTOMER}, found "x"`]],
    [
      'a customer’s value',
      swap('{ field: tenant }', '{ value: "" }'),
      ['6 dataset.customer.value: expected text that is not empty, such as acme, found ""'],
    ],
    [
      'no group',
      GOOD.replace(/dataset:\n(?: {2}.*\n)+/, 'dataset: x\n'),
      ['3 dataset: expected a group with collection, owner and customer, found "x"'],
    ],
    [
      'a version that is no group',
      swap('{ field: tenant }', '{ field: tenant }\n  version: rev'),
      ['7 dataset.version: expected { field: <name> }, found "rev"'],
    ],
    [
      'facets as text',
      withFacets('subject'),
      ['7 dataset.facets: expected facet names with { field: <name> } each, found "subject"'],
    ],
    [
      'a facet’s name',
      withFacets('{ Subject: { field: a } }'),
      [
        '7 dataset.facets.Subject: expected a facet name: a lower-case letter, then letters, digits, dashes, found "Subject"',
      ],
    ],
    [
      'a facet as text',
      withFacets('{ subject: a }'),
      ['7 dataset.facets.subject: expected { field: <name> }, found "a"'],
    ],
    [
      'a facet’s field',
      withFacets('{ subject: { field: a..b } }'),
      [`7 dataset.facets.subject.field: ${FIELD}, found "a..b"`],
    ],
    [
      'a facet’s unknown key',
      withFacets('{ subject: { feild: a } }'),
      [
        `7 dataset.facets.subject.field: ${FIELD}, found nothing`,
        '7 dataset.facets.subject.feild: expected one of field, found "feild". Did you mean field?',
      ],
    ],
    ['a trigger as text', swap('{ field: createdAt }', 'createdAt'), [`7 trigger: ${TRIGGER}, found "createdAt"`]],
    [
      'two triggers',
      swap('{ field: createdAt }', '{ field: a, objectId: _id }'),
      [`7 trigger: ${TRIGGER}, found a map`],
    ],
    [
      'a trigger’s unknown key',
      swap('{ field: createdAt }', '{ field: a, zone: UTC }'),
      ['7 trigger.zone: expected one of field, objectId, expires, event, created, latest, latestOf, found "zone"'],
    ],
    [
      'an expiry’s field',
      swap('{ field: createdAt }\nactive: 2 years', '{ expires: a..b }'),
      [`7 trigger.expires: ${FIELD}, found "a..b"`],
    ],
    ['no trigger', GOOD.replace(/trigger.*\n/, ''), [`1 trigger: ${TRIGGER}, found nothing`]],
    [
      'neither trigger nor active period',
      GOOD.replace(/trigger.*\nactive.*\n/, ''),
      [`1 trigger: ${TRIGGER}, found nothing`],
    ],
    [
      'no active period',
      GOOD.replace(/active.*\n/, ''),
      [
        '1 active: expected the active period, such as "2 years", found nothing. Only trigger: { expires: … } goes without one.',
      ],
    ],
    [
      'an active period beside an expiry',
      swap('{ field: createdAt }', '{ expires: until }'),
      [
        '8 active: expected no active period beside trigger: { expires: … }, found "2 years". With `expires` each record names its own date. Use `field` to count a period from it.',
      ],
    ],
    ['a period that is a number', swap('2 years', '2'), [`8 active: ${PERIOD}, found 2`]],
    [
      'a period that is too long',
      swap('7 years', '1001 years'),
      [`10 archive.for: ${PERIOD}, of at most 1000 years, found "1001 years"`],
    ],
    [
      'another disposition',
      swap('then: archive', 'then: keep'),
      [
        '9 then: expected archive, delete, anonymise, redact or pseudonymise, or a list of them such as [archive, anonymise], found "keep"',
      ],
    ],
    [
      'no group for the archive',
      swap('{ for: 7 years, vault: cold }', 'x'),
      ['10 archive: expected a group with for and vault, found "x"'],
    ],
    ['a vault that is a number', swap('vault: cold', 'vault: 3'), [`10 archive.vault: ${VAULT}, found 3`]],
    ['an empty vault', swap('vault: cold', 'vault: ""'), [`10 archive.vault: ${VAULT}, found ""`]],
    [
      'a level',
      swap('vault: cold', 'vault: cold, verify: x'),
      ['10 archive.verify: expected checksum or inventory, found "x"'],
    ],
    [
      'a wait beyond the grace',
      swap('vault: cold', 'vault: cold, maxWait: 8 days'),
      [
        '10 archive.maxWait: expected at most the grace, found "8 days". A record that waits longer than the grace would be overdue by plan.',
      ],
    ],
    ['a schedule that is a number', `${GOOD}schedule: 3\n`, [`12 schedule: ${CRON}, found 3`]],
    ['a schedule that is none', `${GOOD}schedule: weekly\n`, [`12 schedule: ${CRON}, found "weekly"`]],
    [
      'a key that is like another',
      swap('zone:', 'zome:'),
      [`1 zone: ${ZONE}, found nothing`, `2 zome: ${KEYS}, found "zome". Did you mean zone?`],
    ],
    ['a list', '- 1', [`1 : ${POLICY}, found a list`]],
    ['nothing', '', [`1 : ${POLICY}, found nothing`]],
  ])('%s', (_, text, expected) => {
    expect(told(text)).toEqual(expected);
  });

  test('what cannot be read as YAML is told once, and nothing is made of the rest', () => {
    const bomb =
      'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]\n';
    expect(told(bomb)).toEqual([expect.stringMatching(/^1 : expected YAML that can be unfolded, found /)]);
    expect(told('a: [b')).toEqual([expect.stringMatching(/^1 : expected valid YAML, found /)]);
  });

  test('a wait within a longer grace is in order', () => {
    expect(told(`${swap('vault: cold', 'vault: cold, maxWait: 8 days')}grace: 9 days\n`)).toEqual([]);
  });

  test('a second policy for one collection', () => {
    const other = { file: 'b.yaml', text: GOOD.replace('policy: chats', 'policy: more') };
    const { problems } = loadPolicies([{ file: 'a.yaml', text: GOOD }, other]);
    expect(problems.map(({ expected }) => expected)).toEqual([
      'a collection that no other policy has: a.yaml has this one',
    ]);
    const same = loadPolicies([
      { file: 'a.yaml', text: GOOD },
      { file: 'b.yaml', text: swap('support.chats', 'a.b') },
    ]);
    expect(same.problems.map(({ expected }) => expected)).toEqual(['a name that a.yaml does not have']);
  });

  test('caps: what they are for, that the policy starts nothing without them, and a slip of the hand', () => {
    const { loaded } = loadPolicy('chats.yaml', swap('records: 1000, share: 0.5', 'share: 0, record: 5'));
    const warnings = loaded?.warnings.map(({ line, field, expected, found, hint }) => [
      line,
      field,
      expected,
      found,
      hint,
    ]);
    expect(warnings).toEqual([
      [
        11,
        'limits.records',
        'the most records that one run may take, 1 or more',
        'nothing',
        'Until then this policy starts nothing.',
      ],
      [
        11,
        'limits.share',
        'the largest share of the collection that one run may take, above 0 and at most 1',
        '0',
        'Until then this policy starts nothing.',
      ],
      [11, 'limits.record', 'one of records, share', '"record"', 'Did you mean records?'],
    ]);
  });
});

function policyOf(text: string): Policy {
  const { loaded, problems } = loadPolicy('chats.yaml', text);
  if (loaded === null) throw new Error(JSON.stringify(problems));
  return loaded.policy;
}

const chats = policyOf(GOOD);
const at = (text: string) => Date.parse(text);
const DUE = at('2026-01-31T09:00:00Z');
const PURGE = at('2033-01-31T09:00:00Z');
const fit: DecisionFacts = {
  owner: id.owner('acme'),
  customer: id.customer('north'),
  trigger: at('2024-01-31T09:00:00Z'),
  exemptUntil: null,
  quarantined: false,
  unfit: [],
};

describe('the reasons of a decision', () => {
  const hold: HoldScope = { id: 'hold-1 (case C-7)', covers: () => true };
  const reasonsOf = (facts: Partial<DecisionFacts>, now: number, holds: readonly HoldScope[] = [], policy = chats) =>
    decide({ ...fit, ...facts }, policy, holds, now).reasons.map(({ rule, text }) => `${rule}: ${text}`);
  const POLICY_LINE = expect.stringMatching(/^policy: Policy chats, version [0-9a-f]{12}, for support\.chats\.$/);
  const ACTIVE = (word: string) =>
    `active-period: The active period of 2 years began at 2024-01-31 10:00 (createdAt) and ${word} at 2026-01-31 10:00 (Europe/Amsterdam).`;
  const ARCHIVE = (word: string) =>
    `archive-period: The archive period of 7 years after that ${word} at 2033-01-31 10:00.`;

  test('not due yet', () => {
    expect(reasonsOf({}, DUE - 1)).toEqual([
      POLICY_LINE,
      ACTIVE('ends'),
      ARCHIVE('ends'),
      'disposition: Nothing is to be done yet.',
    ]);
  });

  test('due, at the very instant', () => {
    expect(reasonsOf({}, DUE)).toEqual([
      POLICY_LINE,
      ACTIVE('ended'),
      ARCHIVE('ends'),
      'disposition: It is to be archived into vault cold.',
    ]);
  });

  test('expired, at the very instant', () => {
    expect(reasonsOf({}, PURGE)).toEqual([
      POLICY_LINE,
      ACTIVE('ended'),
      ARCHIVE('ended'),
      'disposition: It is past its archive period too: it is not archived, and deleted only when a person says so (`moraine run --expired`).',
    ]);
  });

  test('held', () => {
    expect(reasonsOf({}, DUE, [hold])).toEqual([
      POLICY_LINE,
      ACTIVE('ended'),
      ARCHIVE('ends'),
      'hold: Legal hold hold-1 (case C-7) covers this record.',
      'disposition: It stays in the source.',
    ]);
  });

  test('left alone after a restore, until its very instant', () => {
    const exemptUntil = at('2026-03-01T09:00:00Z');
    expect(reasonsOf({ exemptUntil }, exemptUntil - 1)).toEqual([
      POLICY_LINE,
      ACTIVE('ended'),
      ARCHIVE('ends'),
      'exemption: The record was restored and is left alone until 2026-03-01 10:00 (Europe/Amsterdam).',
      'disposition: Nothing is to be done until then.',
    ]);
    expect(reasonsOf({ exemptUntil }, exemptUntil)).toEqual(reasonsOf({}, exemptUntil));
  });

  test('in quarantine', () => {
    expect(reasonsOf({ quarantined: true }, DUE)).toEqual([
      POLICY_LINE,
      'quarantine: The record is in quarantine until a person decides.',
      ACTIVE('ended'),
      ARCHIVE('ends'),
      'disposition: It stays in the source.',
    ]);
  });

  test.each([
    ['owner-unusable', 'it does not say who owns it (a text that is not empty, an ObjectId or a UUID)'],
    ['customer-unusable', 'it does not say whose data it is (a text that is not empty, an ObjectId or a UUID)'],
    ['trigger-unusable', 'its period cannot be counted: the trigger is missing or is no date'],
    ['not-canonical', 'its bytes cannot be compared safely before the delete; a version field in the policy helps'],
    ['too-large', 'it is too large for one guarded delete; a version field in the policy helps'],
    ['of-a-later-version', 'of-a-later-version'],
  ])('unfit: %s', (code, words) => {
    expect(reasonsOf({ unfit: [code] }, DUE)).toEqual([
      POLICY_LINE,
      `fitness: The record cannot be handled: ${words}.`,
      'disposition: It goes into quarantine and stays in the source.',
    ]);
  });

  test('unfit without a reason', () => {
    expect(reasonsOf({ owner: null }, DUE)).toEqual([
      POLICY_LINE,
      'fitness: The record cannot be handled: owner, customer or trigger is missing.',
      'disposition: It goes into quarantine and stays in the source.',
    ]);
  });

  test('a date of its own', () => {
    const leases = policyOf(swap('{ field: createdAt }\nactive: 2 years', '{ expires: keepUntil }'));
    const ownDate = (word: string) =>
      `active-period: The record's own date (keepUntil) ${word} 2026-01-31 10:00 (Europe/Amsterdam).`;
    expect(reasonsOf({ trigger: DUE }, DUE - 1, [], leases)[1]).toBe(ownDate('is'));
    expect(reasonsOf({ trigger: DUE }, DUE, [], leases)[1]).toBe(ownDate('was'));
  });

  test('from the compiled policy they are the same', () => {
    expect(decide(fit, compile(chats), [hold], DUE)).toEqual(decide(fit, chats, [hold], DUE));
  });
});

describe('why a cap stops', () => {
  const limits = { records: 100, share: 0.1 };
  test.each<[string, Parameters<typeof checkCaps>[0], string, string]>([
    [
      'no cap on records',
      { taken: 1, documents: 10, limits: { records: null, share: 1 } },
      'records',
      'limits.records is missing or is not a whole number of 1 or more, so nothing may be taken',
    ],
    [
      'no cap on the share',
      { taken: 1, documents: 10, limits: { records: 1, share: null } },
      'share',
      'limits.share is missing or is not above 0 and at most 1, so nothing may be taken',
    ],
    [
      'an amount that is not known',
      { taken: Number.NaN, documents: 10, limits },
      'records',
      'the number of records to take is not known',
    ],
    [
      'a collection of unknown size',
      { taken: 1, documents: Number.NaN, limits },
      'share',
      'the number of documents in the collection is not known',
    ],
  ])('%s', (_, check, cap, text) => {
    expect(checkCaps(check)).toEqual({ ok: false, cap, text });
  });
});

describe('why an archive is sealed, or not', () => {
  const waiting = { records: 10, bytes: 10_000, oldestDueAt: DUE, now: DUE, policy: chats, flush: false };

  test('in a sentence each', () => {
    const texts = [
      { ...waiting, records: 0 },
      { ...waiting, oldestDueAt: null },
      { ...waiting, flush: true },
      { ...waiting, records: 1_000_000 },
      { ...waiting, now: DUE + 8 * 86_400_000 },
      waiting,
    ].map((one) => sealDecision(one).text);
    expect(texts).toEqual([
      'Nothing is due.',
      'Nothing is due.',
      'Sealed now because --flush was given.',
      'What is due fills an archive.',
      'The oldest due record has waited 7 days.',
      'Waits for more records until 2026-02-07 10:00 (Europe/Amsterdam), at most 7 days.',
    ]);
  });

  test('what is due beyond the calendar never comes', () => {
    const never = Number.POSITIVE_INFINITY;
    for (const endOf of [lastPurgeInWindow, waitsUntil, overdueAfter]) expect(endOf(never, chats)).toBe(never);
  });
});
