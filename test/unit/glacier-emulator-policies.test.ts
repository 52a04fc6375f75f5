import { describe, expect, test } from 'vitest';
import { oneMonthAfter } from '../../infra/glacier-emulator/account-operations.ts';
import { authorize, contextOf } from '../../infra/glacier-emulator/authorization.ts';
import { GlacierError } from '../../infra/glacier-emulator/errors.ts';
import { topicsOf } from '../../infra/glacier-emulator/job-topics.ts';
import { conditionHolds, contextKey } from '../../infra/glacier-emulator/policy-conditions.ts';
import { readVaultPolicy } from '../../infra/glacier-emulator/policy-document.ts';
import type { Principal } from '../../infra/glacier-emulator/principals.ts';
import { jobSchema, vaultSchema } from '../../infra/glacier-emulator/records.ts';
import { enforcePolicy, type Retrieval } from '../../infra/glacier-emulator/retrieval-policy.ts';
import { matchesWildcard } from '../../infra/glacier-emulator/wildcard.ts';

const DAY = 86_400_000;
const NOON = Date.UTC(2026, 4, 5, 12);

describe('conditions', () => {
  const context = new Map(
    Object.entries({
      'aws:CurrentTime': '2026-05-05T12:00:00.000Z',
      'aws:EpochTime': '1777982400',
      'aws:SourceIp': '10.1.2.3',
      'aws:PrincipalArn': 'arn:aws:iam::012345678901:user/team/ann',
      'aws:username': 'ann',
      'aws:SecureTransport': 'false',
      'glacier:ArchiveAgeInDays': '364',
      'glacier:ResourceTag/Owner': 'acme',
    }).map(([key, value]) => [contextKey(key), value]),
  );
  const holds = (operator: string, key: string, ...values: string[]) =>
    conditionHolds({ [operator]: { [key]: values } }, context);

  test.each([
    ['NumericLessThan', 'glacier:ArchiveAgeInDays', ['365'], true],
    ['NumericLessThan', 'glacier:archiveageindays', ['364'], false],
    ['NumericLessThanEquals', 'glacier:ArchiveAgeinDays', ['364'], true],
    ['NumericGreaterThan', 'glacier:ArchiveAgeInDays', ['363'], true],
    ['NumericGreaterThanEquals', 'glacier:ArchiveAgeInDays', ['365'], false],
    ['NumericEquals', 'glacier:ArchiveAgeInDays', ['1', '364.0'], true],
    ['NumericNotEquals', 'glacier:ArchiveAgeInDays', ['1', '364'], false],
    ['NumericLessThan', 'glacier:ArchiveAgeInDays', ['a year'], false],
    ['StringEquals', 'glacier:ResourceTag/Owner', ['acme'], true],
    ['StringEquals', 'glacier:ResourceTag/owner', ['acme'], false],
    ['StringEqualsIgnoreCase', 'GLACIER:resourcetag/Owner', ['ACME'], true],
    ['StringNotEquals', 'glacier:ResourceTag/Owner', ['umbra', 'acme'], false],
    ['StringLike', 'glacier:ResourceTag/Owner', ['a*e'], true],
    ['StringLike', 'glacier:ResourceTag/Owner', ['a?e'], false],
    ['StringNotLike', 'glacier:ResourceTag/Owner', ['u*'], true],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of policies looks like this.
    ['StringLike', 'aws:PrincipalArn', ['*/${aws:username}'], true],
    ['DateLessThan', 'aws:CurrentTime', ['2026-05-06T00:00:00Z'], true],
    ['DateGreaterThanEquals', 'aws:CurrentTime', ['2026-05-05T12:00:00Z'], true],
    ['DateGreaterThan', 'aws:EpochTime', ['1777982399'], true],
    ['DateNotEquals', 'aws:CurrentTime', ['2026-05-05T12:00:00Z'], false],
    ['Bool', 'aws:SecureTransport', ['true'], false],
    ['IpAddress', 'aws:SourceIp', ['10.0.0.0/8'], true],
    ['IpAddress', 'aws:SourceIp', ['10.1.2.4', '::1/128'], false],
    ['NotIpAddress', 'aws:SourceIp', ['10.1.2.3/32'], false],
    ['ArnLike', 'aws:PrincipalArn', ['arn:aws:iam::012345678901:user/*'], true],
    ['ArnLike', 'aws:PrincipalArn', ['arn:*:user/team/ann'], false],
    ['ArnNotEquals', 'aws:PrincipalArn', ['arn:aws:iam::*:user/*'], false],
    ['Null', 'glacier:ResourceTag/Owner', ['false'], true],
    ['Null', 'glacier:ResourceTag/Other', ['true'], true],
    ['Null', 'glacier:ResourceTag/Other', ['false'], false],
    ['StringEquals', 'glacier:ResourceTag/Other', [''], false],
    ['StringNotEquals', 'glacier:ResourceTag/Other', ['x'], true],
    ['StringEqualsIfExists', 'glacier:ResourceTag/Other', ['x'], true],
    ['StringEqualsIfExists', 'glacier:ResourceTag/Owner', ['x'], false],
    ['ForAnyValue:StringEquals', 'glacier:ResourceTag/Other', ['x'], false],
    ['ForAllValues:StringEquals', 'glacier:ResourceTag/Other', ['x'], true],
  ])('%s %s %j: %s', (operator, key, values, expected) => {
    expect(holds(operator, key, ...values)).toBe(expected);
  });

  test('all operators and all keys have to hold', () => {
    const tag = { 'glacier:ResourceTag/Owner': ['acme'] };
    expect(conditionHolds({ StringEquals: tag, NumericEquals: { 'glacier:ArchiveAgeInDays': ['364'] } }, context)).toBe(
      true,
    );
    expect(conditionHolds({ StringEquals: tag, NumericEquals: { 'glacier:ArchiveAgeInDays': ['1'] } }, context)).toBe(
      false,
    );
    expect(conditionHolds({ StringEquals: { ...tag, 'aws:username': ['ben'] } }, context)).toBe(false);
    expect(conditionHolds({}, context)).toBe(true);
  });
});

test('wildcards: signs that mean something in expressions are taken as they are', () => {
  expect(matchesWildcard('a.b', 'axb')).toBe(false);
  expect(matchesWildcard('a(b)[c]{2}|^$', 'a(b)[c]{2}|^$')).toBe(true);
  expect(matchesWildcard('*', '')).toBe(true);
  expect(matchesWildcard('a*', 'a\nb')).toBe(true);
  expect(matchesWildcard('a?c', 'abbc')).toBe(false);
});

describe('authorization', () => {
  const arn = 'arn:aws:glacier:eu-west-1:012345678901:vaults/v';
  const actions = ['glacier:DeleteArchive', 'glacier:UploadArchive'];
  const ann: Principal = {
    arn: 'arn:aws:iam::012345678901:user/ann',
    account: '012345678901',
    accessKeyId: 'a',
    secretAccessKey: 's',
    policy: null,
  };
  const policy = (...statements: Record<string, unknown>[]) =>
    readVaultPolicy(
      JSON.stringify({
        Statement: statements.map((one) => ({ Effect: 'Deny', Principal: '*', Resource: arn, Action: '*', ...one })),
      }),
      arn,
      actions,
    );
  const verdict = (statement: Record<string, unknown>, principal = ann, ageDays = 0) => {
    const facts = {
      principal,
      nowMs: NOON,
      sourceIp: '::1',
      userAgent: '',
      tags: {},
      archiveCreatedAtMs: NOON - ageDays * DAY,
    };
    try {
      authorize({
        principal,
        action: 'glacier:DeleteArchive',
        resource: arn,
        owner: '012345678901',
        vaultPolicies: [policy(statement)],
        context: contextOf(facts),
      });
      return 'allowed';
    } catch (error) {
      if (error instanceof GlacierError) return error.code;
      throw error;
    }
  };

  test('Not-elements turn the question round', () => {
    expect(verdict({ Action: undefined, NotAction: 'glacier:Delete*' })).toBe('allowed');
    expect(verdict({ Action: undefined, NotAction: 'glacier:Upload*' })).toBe('AccessDeniedException');
    expect(verdict({ Principal: undefined, NotPrincipal: { AWS: ann.arn } })).toBe('allowed');
    expect(verdict({ Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::012345678901:user/ben' } })).toBe(
      'AccessDeniedException',
    );
    expect(verdict({ Resource: undefined, NotResource: arn })).toBe('allowed');
  });

  test('the age of an archive counts whole days', () => {
    const young = { Condition: { NumericLessThan: { 'glacier:ArchiveAgeInDays': 2 } } };
    expect(verdict(young, ann, 1.99)).toBe('AccessDeniedException');
    expect(verdict(young, ann, 2)).toBe('allowed');
  });

  test('a principal of another account needs an Allow, whoever it is', () => {
    const cyd = { ...ann, arn: 'arn:aws:iam::999988887777:user/cyd', account: '999988887777' };
    expect(verdict({ Effect: 'Allow', Principal: { AWS: ['999988887777'] } }, cyd)).toBe('allowed');
    expect(verdict({ Effect: 'Allow', Principal: { AWS: ['999988887778'] } }, cyd)).toBe('AccessDeniedException');
  });
});

describe('retrieval policies', () => {
  const MIB = 1024 * 1024;
  const job = (bytes: number, ageMs: number, tier: Retrieval['tier'] = 'Standard'): Retrieval => ({
    tier,
    start: 0,
    end: bytes - 1,
    createdAtMs: NOON - ageMs,
    completesAtMs: NOON - ageMs + 5 * 3_600_000,
  });
  const accepts = (policy: Parameters<typeof enforcePolicy>[0], wanted: Retrieval, others: Retrieval[] = []) => {
    try {
      enforcePolicy(policy, wanted, others, { nowMs: NOON, freeTierBytes: 10 * MIB });
      return true;
    } catch (error) {
      if (error instanceof GlacierError && error.code === 'PolicyEnforcedException') return false;
      throw error;
    }
  };

  test('bytes per hour: a quarter of each job in progress, to the byte', () => {
    const policy = { strategy: 'BytesPerHour', bytesPerHour: MIB } as const;
    expect(accepts(policy, job(4 * MIB, 0))).toBe(true);
    expect(accepts(policy, job(4 * MIB + 1, 0))).toBe(false);
    expect(accepts(policy, job(MIB, 0), [job(3 * MIB, DAY / 24)])).toBe(true);
    expect(accepts(policy, job(MIB + 1, 0), [job(3 * MIB, DAY / 24)])).toBe(false);
    expect(accepts(policy, job(4 * MIB, 0), [job(3 * MIB, 5 * 3_600_000), job(MIB, 0, 'Bulk')])).toBe(true);
    expect(accepts(policy, job(9 * MIB, 0, 'Expedited'))).toBe(true);
  });

  test('free tier: this UTC day only, in progress or not', () => {
    const policy = { strategy: 'FreeTier' } as const;
    expect(accepts(policy, job(10 * MIB, 0), [job(5 * MIB, 12 * 3_600_000 + 1)])).toBe(true);
    expect(accepts(policy, job(6 * MIB, 0), [job(5 * MIB, 12 * 3_600_000)])).toBe(false);
    expect(accepts(policy, job(5 * MIB, 0), [job(5 * MIB, 0)])).toBe(true);
  });
});

test('capacity ends a calendar month later, on the last day where there is no such day, to the second', () => {
  const after = (start: string) => new Date(oneMonthAfter(Date.parse(start))).toISOString();
  expect(after('2026-03-15T10:20:30.400Z')).toBe('2026-04-15T10:20:30.000Z');
  expect(after('2028-01-31T00:00:00.600Z')).toBe('2028-02-29T00:00:01.000Z');
  expect(after('2026-12-31T23:59:59Z')).toBe('2027-01-31T23:59:59.000Z');
});

test('who is told of a job: its own topic and the vault that had one before it completed, each once', () => {
  const vault = (topic: string, setAtMs: number, events = ['ArchiveRetrievalCompleted']) =>
    vaultSchema.parse({ name: 'v', region: 'r', createdAtMs: 0, tags: {}, notifications: { topic, events, setAtMs } });
  const job = (topic: string | null) =>
    jobSchema.parse({
      action: 'ArchiveRetrieval',
      id: 'j',
      description: null,
      createdAtMs: 100,
      completesAtMs: 200,
      topic,
      tier: 'Bulk',
      archiveId: 'a',
      start: 0,
      end: 1,
    });
  expect(topicsOf(vault('t', 200), job(null))).toEqual(['t']);
  expect(topicsOf(vault('t', 201), job(null))).toEqual([]);
  expect(topicsOf(vault('t', 0, ['InventoryRetrievalCompleted']), job('own'))).toEqual(['own']);
  expect(topicsOf(vault('t', 0), job('own'))).toEqual(['own', 't']);
  expect(topicsOf(vault('t', 0), job('t'))).toEqual(['t']);
});
