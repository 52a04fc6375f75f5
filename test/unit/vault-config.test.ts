import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { id } from '../../src/ids.ts';
import { createVault } from '../../src/vault/create-vault.ts';
import { estimateRetrieval, LEAST_DAYS } from '../../src/vault/prices.ts';
import { isLoopback, vaultConfigSchema } from '../../src/vault/vault-config.ts';

const glacier = { backend: 'glacier', region: 'eu-west-1' };
const s3 = { backend: 's3', region: 'eu-west-1', bucket: 'moraine-{owner}' };
const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };

describe('an entry of vaults', () => {
  test('needs little: the rest has defaults', () => {
    expect(vaultConfigSchema.parse(glacier)).toMatchObject({ account: '-' });
    expect(vaultConfigSchema.parse(s3)).toMatchObject({ storageClass: 'DEEP_ARCHIVE' });
  });

  test.each([
    ['no backend', { region: 'eu-west-1' }],
    ['a backend that is not there', { ...glacier, backend: 'tape' }],
    ['no region', { backend: 'glacier' }],
    ['a region that is none', { ...glacier, region: 'Europe' }],
    ['an account that is none', { ...glacier, account: '123' }],
    ['an endpoint that is no URL', { ...glacier, endpoint: '127.0.0.1:80' }],
    ['a prefix with a dot', { ...glacier, prefix: 'a.b' }],
    ['a setting that does nothing', { ...glacier, storageClass: 'GLACIER' }],
    ['a bucket that all owners would share', { ...s3, bucket: 'moraine' }],
    ['a storage class that is not for archives', { ...s3, storageClass: 'STANDARD' }],
    ['credentials for the real service', { ...glacier, credentials }],
    ['credentials for an endpoint elsewhere', { ...s3, endpoint: 'https://s3.example.com', credentials }],
    [
      'credentials for an endpoint that only looks local',
      { ...s3, endpoint: 'http://127.0.0.1.example.com', credentials },
    ],
  ])('refused: %s', (_why, entry) => {
    expect(vaultConfigSchema.safeParse(entry).success).toBe(false);
  });

  test.each(['http://127.0.0.1:4566', 'http://localhost:1', 'http://[::1]:99'])(
    'credentials are for this machine: %s',
    (endpoint) => {
      expect(isLoopback(endpoint)).toBe(true);
      expect(vaultConfigSchema.safeParse({ ...s3, endpoint, credentials }).success).toBe(true);
    },
  );

  test('a vault of it knows where an owner and a customer are, without asking anybody', () => {
    const place = (entry: unknown) =>
      createVault(id.vaultKey('cold'), vaultConfigSchema.parse(entry), {
        clock: systemClock,
        environment: 'sandbox',
      }).locate('0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9', id.owner('acme'), id.customer('Nordwind AG'));
    expect(place(glacier)).toMatchObject({
      key: 'cold',
      name: '0a1b2c3d.acme.Nordwind_20AG',
      prefix: '',
      account: '-',
    });
    expect(place({ ...glacier, prefix: 'legal' })).toMatchObject({ name: 'legal.acme.Nordwind_20AG' });
    expect(place(s3)).toMatchObject({ key: 'cold', name: 'moraine-acme', prefix: 'Nordwind_20AG/' });
  });
});

describe('prices', () => {
  const GIB = 2 ** 30;

  test('faster costs more, and takes less time', () => {
    for (const list of ['glacier', 's3-glacier', 's3-deep-archive'] as const) {
      const [fast, normal, slow] = (['expedited', 'standard', 'bulk'] as const).map((tier) =>
        estimateRetrieval(list, GIB, tier),
      );
      expect(fast!.dollars).toBeGreaterThanOrEqual(normal!.dollars);
      expect(normal!.dollars).toBeGreaterThan(slow!.dollars);
      expect(fast!.hours).toBeLessThanOrEqual(normal!.hours);
      expect(normal!.hours).toBeLessThan(slow!.hours);
    }
  });

  test('100 GiB from Glacier by the standard tier', () => {
    expect(estimateRetrieval('glacier', 100 * GIB, 'standard').dollars).toBeCloseTo(1.00005, 6);
  });

  test('the price list names its source and year', () => {
    expect(estimateRetrieval('glacier', 1, 'bulk').priceSource).toMatch(/us-east-1, 20\d\d/);
  });
});

test('GLACIER_IR is read at once at one price, whatever tier is asked for; every class has a least time', () => {
  for (const tier of ['expedited', 'standard', 'bulk'] as const)
    expect(estimateRetrieval('s3-glacier-ir', 2 ** 30, tier)).toMatchObject({ tier, hours: 0, dollars: 0.03001 });
  expect(LEAST_DAYS).toEqual({ GLACIER_IR: 90, GLACIER: 90, DEEP_ARCHIVE: 180 });
});

test('a place keeps the class that it was made with; Object Lock says what it guards', () => {
  const entry = { backend: 's3', region: 'eu-west-1', bucket: 'moraine-{owner}', endpoint: 'http://127.0.0.1:1' };
  const deps = { clock: systemClock, environment: 'sandbox' } as const;
  const port = (more: object) => createVault(id.vaultKey('cold'), vaultConfigSchema.parse({ ...entry, ...more }), deps);
  const [owner, customer] = [id.owner('acme'), id.customer('north')];
  expect(port({}).locate('i', owner, customer).storageClass).toBe('DEEP_ARCHIVE');
  expect(port({}).locate('i', owner, customer, 'GLACIER_IR').storageClass).toBe('GLACIER_IR');
  const guards = ['none', 'holds', 'governance', 'compliance'].map((objectLock) => port({ objectLock }).guards);
  expect(guards).toEqual([
    { holds: false, lock: null },
    { holds: true, lock: null },
    { holds: true, lock: 'governance' },
    { holds: true, lock: 'compliance' },
  ]);
  expect(vaultConfigSchema.safeParse({ ...entry, encryption: { kms: 'alias/mine' } }).success).toBe(false);
});
