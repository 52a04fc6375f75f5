/** Promises 8 to 11: the daemon cannot read archives, nothing is shared, every act leaves an audit entry, every file opens. */
import type { PlantedBug } from '../bug.ts';
import { FIRST_SWEEP_MS, grantAll, life, MINUTE_MS, record } from '../designed.ts';

const TWO_OF_EACH = [
  record('a-north', -3),
  record('a-south', -2.9, { tenant: 'south' }),
  record('z-north', -3, { owner: 'zenith' }),
  record('z-south', -2.9, { owner: 'zenith', tenant: 'south' }),
];

export const SECRET_BUGS: readonly PlantedBug[] = [
  {
    name: 'archive key kept in the open',
    promise: 8,
    what: 'The key of an archive is written beside its wrapped form.',
    patches: [
      {
        file: 'src/keys/keys.ts',
        find: 'wrapped, kms, recipients });',
        replace: `wrapped, kms, recipients: [...recipients, Buffer.from(key.bytes()).toString('base64url')] });`,
      },
    ],
    caughtBy: ['archive-key-in-the-open'],
    life: (seed) => life(seed),
  },
  {
    name: 'facets kept in the open',
    promise: 8,
    what: 'The ledger keeps the values of facets instead of codes.',
    patches: [
      {
        file: 'src/archive/facets.ts',
        find: `return Buffer.from(mac.buffer, mac.byteOffset, CODE_BYTES).toString('base64url');`,
        replace: 'return mac.length > 0 ? value : facet;',
      },
    ],
    caughtBy: ['content-in-the-open'],
    life: (seed) => life(seed),
  },
  {
    name: 'one key for every attempt',
    promise: 9,
    what: 'All archives are sealed with the same key.',
    patches: [
      {
        file: 'src/keys/archive-key.ts',
        find: 'Uint8Array.from(randomBytes(ARCHIVE_KEY_BYTES))',
        replace: 'new Uint8Array(ARCHIVE_KEY_BYTES).fill(7)',
      },
    ],
    caughtBy: ['mixed-archive'],
    life: (seed) => life(seed, { records: TWO_OF_EACH }),
  },
  {
    name: 'recipients of another owner',
    promise: 9,
    what: 'The keys of every owner are wrapped for the administrators of one of them.',
    patches: [
      {
        file: 'src/keys/keys.ts',
        find: 'const recipients = distinctRecipients(options.administratorsOf(owner));',
        replace: `const recipients = distinctRecipients(options.administratorsOf('zenith' as OwnerId));`,
      },
    ],
    caughtBy: ['mixed-archive'],
    life: (seed) => life(seed, { records: TWO_OF_EACH }),
  },
  {
    name: 'one vault for all customers',
    promise: 9,
    what: 'The archives of all customers of an owner go into one vault.',
    patches: [
      {
        file: 'src/vault/naming.ts',
        find: 'escapeId(customer)}`',
        replace: 'escapeId(owner)}`',
      },
      {
        file: 'src/vault/naming.ts',
        find: "{ 'moraine-customer': tagValue(parties.customer) }",
        replace: "{ 'moraine-customer': 'all' }",
      },
    ],
    caughtBy: ['mixed-archive'],
    life: (seed) => life(seed, { records: TWO_OF_EACH }),
  },
  {
    name: 'records of all customers in one archive',
    promise: 9,
    what: 'A scan hands out the records of an owner whatever their customer (a bug of the adapter), and nobody looks.',
    patches: [
      {
        file: 'src/source/memory-source.ts',
        find: 'if (owner === partition.owner && customer === partition.customer && trigger !== null)',
        replace: 'if (owner === partition.owner && customer !== null && trigger !== null)',
      },
      {
        file: 'src/lifecycle/select-records.ts',
        find: 'if (facts.owner !== archive.owner || facts.customer !== archive.customer) {',
        replace: 'if (facts.owner !== archive.owner) {',
      },
    ],
    caughtBy: ['mixed-archive'],
    life: (seed) => life(seed, { records: TWO_OF_EACH }),
  },
  {
    name: 'clearing without an intent',
    promise: 10,
    what: 'Records are deleted before the audit chain says that they will be.',
    patches: [
      {
        file: 'src/lifecycle/clear.ts',
        find: 'await settleAudit(audit, lease, [intentEntry(archive, stored.records)]);',
        replace: 'await settleAudit(audit, lease); void intentEntry;',
      },
    ],
    caughtBy: ['act-without-intent'],
    life: (seed) => life(seed),
  },
  {
    name: 'expiry without an intent',
    promise: 10,
    what: 'Expired records are deleted before the audit chain says that they will be.',
    patches: [
      {
        file: 'src/lifecycle/dispose.ts',
        find: "phase: 'intent' as const,",
        replace: "phase: 'outcome' as const,",
      },
    ],
    caughtBy: ['act-without-intent'],
    life: (seed) =>
      life(seed, {
        days: 2,
        records: [record('old', -9)],
        script: [
          { at: FIRST_SWEEP_MS, act: { what: 'run', policy: 'chats', flush: true, expired: true } },
          { at: FIRST_SWEEP_MS + 5 * MINUTE_MS, act: grantAll },
          { at: FIRST_SWEEP_MS + 10 * MINUTE_MS, act: { what: 'run', policy: 'chats', flush: true, expired: true } },
        ],
      }),
  },
  {
    name: 'purge told afterwards',
    promise: 10,
    what: 'The audit chain hears of a purge when the file is gone.',
    patches: [
      {
        file: 'src/ledger/archives.ts',
        find: 'if (move.auditLater !== true) await settleAudit(audit, lease);',
        replace: `if (move.auditLater !== true && move.to !== 'purging') await settleAudit(audit, lease);`,
      },
      { file: 'src/ledger/purging.ts', find: '    await settleAudit(audit, lease);\n', replace: '' },
    ],
    caughtBy: ['act-without-intent'],
    life: (seed) => life(seed),
  },
  {
    name: 'abandoned upload removed without a word',
    promise: 10,
    what: 'What an abandoned attempt left in a vault is removed, and the audit chain does not say so before.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: `{ act: 'abandoned upload removed', phase: 'intent', subject, details: { vault: location.name } },`,
        replace: '',
      },
    ],
    caughtBy: ['act-without-intent'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'audit entries hang on the wrong one',
    promise: 10,
    what: 'Entries that are written together all carry the hash of what was there before the first of them.',
    patches: [{ file: 'src/ledger/audit.ts', find: 'previous: hash };', replace: 'previous: end.hash };' }],
    caughtBy: ['audit-chain-broken'],
    life: (seed) => life(seed),
  },
  {
    name: 'end of an archive not told',
    promise: 10,
    what: 'The audit chain never hears that a purge was confirmed.',
    patches: [
      {
        file: 'src/ledger/archives.ts',
        find: 'unaudited: [...document.unaudited, entry],',
        replace: `unaudited: move.to === 'confirmed' ? document.unaudited : [...document.unaudited, entry],`,
      },
    ],
    caughtBy: ['intent-without-outcome'],
    life: (seed) => life(seed),
  },
  {
    name: 'wrong root in the ledger',
    promise: 11,
    what: 'The ledger keeps another Merkle root than the one that the file has.',
    patches: [
      {
        file: 'src/lifecycle/store-archive.ts',
        find: 'merkleRoot: written.merkleRoot,\n    manifestSha256',
        replace: 'merkleRoot: written.manifestSha256,\n    manifestSha256',
      },
    ],
    caughtBy: ['file-does-not-open'],
    life: (seed) => life(seed),
  },
  {
    name: 'context of another member',
    promise: 11,
    what: 'Members are sealed under the name of the archive instead of their own, so they do not open as the format says.',
    patches: [
      {
        file: 'src/archive/seal.ts',
        find: 'encryptionContext: { ...context },',
        replace: `encryptionContext: { ...context, member: 'member' },`,
      },
      { file: 'src/archive/seal.ts', find: 'assertContext(context, expected);', replace: 'void expected;' },
    ],
    caughtBy: ['file-does-not-open'],
    life: (seed) => life(seed),
  },
];
