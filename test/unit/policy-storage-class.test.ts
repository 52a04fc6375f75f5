/** The class of S3 that a policy names: in its version only where it is named, against moraine.yaml, with the time that is paid in any case. */
import { expect, test } from 'vitest';
import { readPolicyFiles } from '../../src/cli/policy-files.ts';
import type { Config } from '../../src/config.ts';
import { id } from '../../src/ids.ts';
import { vaultConfigSchema } from '../../src/vault/vault-config.ts';

const S3 = { backend: 's3', region: 'eu-west-1', bucket: 'moraine-{owner}' };
const VAULTS = new Map([
  [id.vaultKey('cold'), vaultConfigSchema.parse({ backend: 'glacier', region: 'eu-west-1' })],
  [id.vaultKey('deep'), vaultConfigSchema.parse(S3)],
  [id.vaultKey('instant'), vaultConfigSchema.parse({ ...S3, storageClass: 'GLACIER_IR' })],
]);

function read(archive: string) {
  const text = `policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
limits: { records: 1000, share: 1.0 }
archive:
  ${archive.split('\n').join('\n  ')}
`;
  const config: Pick<Config, 'file' | 'vaults' | 'owners' | 'policies'> = {
    file: 'moraine.yaml',
    vaults: VAULTS,
    owners: new Map(),
    policies: [{ file: 'chats.yaml', text }],
  };
  return readPolicyFiles(config as Config);
}

test('a policy that names none keeps its version; one that names the vault’s own is another', () => {
  const [plain] = read('for: 7 years\nvault: deep').loaded;
  const [named] = read('for: 7 years\nvault: deep\nstorageClass: DEEP_ARCHIVE').loaded;
  expect(plain?.policy.archive).not.toHaveProperty('storageClass');
  expect(named?.policy.archive).toMatchObject({ storageClass: 'DEEP_ARCHIVE' });
  expect(named?.version).not.toBe(plain?.version);
});

test('a class for a Glacier vault, and one that there is not: refused with file, line and field', () => {
  const [problem] = read('for: 7 years\nvault: cold\nstorageClass: GLACIER_IR').problems;
  expect(problem).toMatchObject({ file: 'chats.yaml', line: 11, field: 'archive.storageClass' });
  expect(problem?.hint).toContain('cold is a glacier vault');
  const [unknown] = read('for: 7 years\nvault: deep\nstorageClass: STANDARD').problems;
  expect(unknown).toMatchObject({
    line: 11,
    field: 'archive.storageClass',
    expected: 'GLACIER_IR or GLACIER or DEEP_ARCHIVE',
  });
});

test.each([
  ['for: 89 days\nvault: cold', '90 days or more'],
  ['for: 120 days\nvault: deep', '180 days or more'],
  ['for: 60 days\nvault: deep\nstorageClass: GLACIER', '90 days or more'],
  ['for: { by: customer, of: { north: 1 month }, otherwise: 7 years }\nvault: instant', '90 days or more'],
])('kept for less than is paid: %j warns', (archive, expected) => {
  const [loaded] = read(archive).loaded;
  expect(loaded?.warnings.map((warning) => warning.expected).join()).toContain(expected);
});

test.each(['for: 90 days\nvault: cold', 'for: 180 days\nvault: deep', 'for: 100 days\nvault: instant'])(
  'kept for as long as is paid: %j does not warn',
  (archive) => {
    expect(read(archive).loaded[0]?.warnings).toEqual([]);
  },
);
