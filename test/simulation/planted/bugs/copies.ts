/** Promise 1: nothing is deleted before its copy is stored and verified, and no copy is lost. */
import { DAY_MS, HOUR_MS } from '../../world/scenario.ts';
import type { PlantedBug } from '../bug.ts';
import { FIRST_SWEEP_MS, grantAll, life, MINUTE_MS, ROUND_MS, reconcileNow, record, sweepNow } from '../designed.ts';

export const COPY_BUGS: readonly PlantedBug[] = [
  {
    name: 'delete before verify',
    promise: 1,
    what: 'An archive that is stored is cleared at once; nobody looks whether it was verified.',
    patches: [
      {
        file: 'src/lifecycle/carry-on.ts',
        find: `if (document.state === 'stored') document = await verifyByChecksum(context, lease);`,
        replace: `if (document.state === 'stored') document = await clearArchive(context, lease, toShape(policy));`,
      },
      { file: 'src/ledger/clearing.ts', find: `archive.state !== 'verified' || `, replace: '' },
      { file: 'src/ledger/clearing.ts', find: ` || archive.verifiedAt === null`, replace: '' },
    ],
    caughtBy: ['deleted-before-verified'],
    life: (seed) => life(seed),
  },
  {
    name: 'level of verification ignored',
    promise: 1,
    what: 'The checksum of the upload is enough, also where the policy asks for an inventory.',
    patches: [
      {
        file: 'src/lifecycle/verify.ts',
        find: `if (archive.verifyLevel === 'inventory') {`,
        replace: `if (archive.verifyLevel === 'never') {`,
      },
    ],
    caughtBy: ['deleted-before-verified'],
    life: (seed) => life(seed, { policy: { verify: 'inventory' } }),
  },
  {
    name: 'older inventory taken as proof',
    promise: 1,
    what: 'Any inventory verifies an archive, also one of before its upload that does not list it.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: 'if (inventoryDate <= stored.at &&',
        replace: 'if (inventoryDate < new Date(0) &&',
      },
      {
        file: 'src/lifecycle/verify.ts',
        find: 'entry !== null &&\n    entry.bytes === stored.bytes &&\n    (entry.treeHash ?? stored.treeHash) === stored.treeHash;',
        replace: 'true;',
      },
    ],
    caughtBy: ['deleted-before-verified'],
    // The second archive is stored after the first inventory of its vault was made, and compared with that.
    life: (seed) =>
      life(seed, { policy: { verify: 'inventory' }, records: [record('r0', -3), record('later', -0.75)] }),
  },
  {
    name: 'key neither awaited nor read back',
    promise: 1,
    what: 'The upload does not wait until its key is kept, and the key is not read back before the archive counts as verified.',
    patches: [
      {
        file: 'src/keys/keys.ts',
        find: 'await store.putArchiveKey(',
        replace: 'const ignore = () => undefined; void Promise.resolve().then(() => store.putArchiveKey(',
      },
      {
        file: 'src/keys/keys.ts',
        find: 'wrapped, kms, recipients });',
        replace: 'wrapped, kms, recipients })).catch(ignore);',
      },
      { file: 'src/lifecycle/verify.ts', find: 'await context.keys.readBack(attempt);', replace: '' },
    ],
    caughtBy: ['deleted-before-verified', 'file-does-not-open'],
    life: (seed) => life(seed, { aims: [{ call: 'key store archiveKeys.insert', fault: { kind: 'error', ms: 0 } }] }),
  },
  {
    name: 'key destroyed before the vault deletes',
    promise: 1,
    what: 'A purge destroys the key first and asks the vault afterwards.',
    patches: [
      {
        file: 'src/lifecycle/purge.ts',
        find: 'const { at, requestId } = await vaultOf(context, archive.vault.key).deleteArchive(',
        replace:
          'await context.keys.destroy(archive.attempt);\n    const { at, requestId } = await vaultOf(context, archive.vault.key).deleteArchive(',
      },
    ],
    caughtBy: ['last-copy-lost'],
    life: (seed) => life(seed),
  },
  {
    name: 'attempt given up although it was stored',
    promise: 1,
    what: 'An attempt whose last reply was lost is abandoned without a look whether the ledger took it as stored, its key destroyed.',
    patches: [
      {
        file: 'src/lifecycle/store-archive.ts',
        find: `if (state !== 'storing' || current !== attempt) return;`,
        replace: '',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) =>
      life(seed, {
        aims: [{ call: 'ledger archives.replace', nth: 3, fault: { kind: 'lost reply', ms: 0 } }],
      }),
  },
  {
    name: 'stray removed',
    promise: 1,
    what: 'A file of this installation that the ledger does not know is taken for litter and removed.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: `if (attempt === null || attempt.archive !== intent.archive) return 'stray';`,
        replace: `if (attempt === null || attempt.archive !== intent.archive) {
    await vaultOf(context, location.key).deleteAbandoned(location, entry.vaultArchiveId, AbandonedUpload.issue(intent.attempt));
    return 'removed';
  }`,
      },
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: `import { takeInventory }`,
        replace: `import { AbandonedUpload } from '../ledger/warrants.ts';\nimport { takeInventory }`,
      },
    ],
    caughtBy: ['stray-removed'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory' },
        records: [record('r0', -3), record('r1', -2.9), record('later', -1.8), record('latest', -1.2)],
        script: [
          { at: FIRST_SWEEP_MS + 10 * MINUTE_MS, act: { what: 'set ledger back', hours: 1 } },
          { at: FIRST_SWEEP_MS + ROUND_MS, act: { what: 'check' } },
        ],
      }),
  },
  {
    name: 'acknowledged upload taken for abandoned',
    promise: 1,
    what: 'What an inventory lists under the attempt of a live archive, and not under the id that the ledger names, is removed as abandoned.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: `if (attempt.state !== 'abandoned') {`,
        replace: `if (attempt.state === 'open') {`,
      },
      {
        file: 'src/ledger/attempts.ts',
        find: `document.state !== 'abandoned' ||\n    document.keyDestroyedAt === null ||\n    document.endedAt === null`,
        replace: 'document.endedAt === null',
      },
    ],
    caughtBy: ['stray-removed', 'last-copy-lost'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory' },
        records: [record('r0', -3), record('r1', -2.9), record('later', -1.4), record('latest', -0.9)],
        aims: [{ call: 'vault storeWhole', fault: { kind: 'duplicate', ms: 0 } }],
      }),
  },
  {
    name: 'duplicate upload adopted twice',
    promise: 1,
    what: 'What a repeated call left in the vault takes the place of the file that the ledger names, and that one takes it back.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: `if (attempt.state !== 'abandoned') {`,
        replace: `const adopter = await archives(context.store).get(attempt.archive);
  if (attempt.state === 'acknowledged' && adopter?.stored != null) {
    const stored = { ...adopter.stored, vaultArchiveId: entry.vaultArchiveId };
    await archives(context.store).replace({ ...adopter, stored });
  }
  if (attempt.state !== 'abandoned') {`,
      },
    ],
    caughtBy: ['work-not-finished', 'stray-removed', 'last-copy-lost', 'confirmed-and-still-there'],
    life: (seed) =>
      life(seed, {
        policy: { verify: 'inventory' },
        records: [record('r0', -3), record('r1', -2.9), record('later', -1.4), record('latest', -0.9)],
        aims: [{ call: 'vault storeWhole', fault: { kind: 'duplicate', ms: 0 } }],
      }),
  },
  {
    name: 'abandoned upload forgotten before its margin',
    promise: 1,
    what: 'An abandoned attempt counts as cleaned up at once, although a call of it may still be on its way.',
    patches: [
      { file: 'src/ledger/attempts.ts', find: '< ABANDONED_MARGIN_MS) return null;', replace: '< 0) return null;' },
      {
        file: 'src/ledger/attempts.ts',
        find: 'clock.now().getTime() - ABANDONED_MARGIN_MS',
        replace: 'clock.now().getTime()',
      },
      {
        file: 'src/lifecycle/clean-up-attempts.ts',
        find: 'attempt.endedAt.getTime() + LATE_CALL_MS',
        replace: 'attempt.endedAt.getTime() - LATE_CALL_MS',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) =>
      life(seed, {
        policy: { archiveDays: 30 },
        records: [record('r0', -3), record('later', -1.17)],
        // Just before the first inventory of the vault is made, which is read hours later.
        script: [
          { at: FIRST_SWEEP_MS + 23.9 * HOUR_MS, act: sweepNow },
          { at: FIRST_SWEEP_MS + 24.2 * HOUR_MS, act: reconcileNow },
          { at: FIRST_SWEEP_MS + 30 * HOUR_MS, act: reconcileNow },
        ],
        aims: [{ call: 'vault storeWhole', nth: 2, fault: { kind: 'late', ms: 8 * HOUR_MS } }],
      }),
  },
  {
    name: 'expired records deleted without an order',
    promise: 1,
    what: 'A run deletes what is past its archive period too, although nobody said so, and asks no second person.',
    patches: [
      {
        file: 'src/lifecycle/run-policy.ts',
        find: 'if (options.expired !== null) reports.push(...(await expireAll(context, policy, plan, options.expired.saidBy, met)));',
        replace: `reports.push(...(await expireAll(context, policy, plan, 'the policy', met)));`,
      },
      {
        file: 'src/lifecycle/run-policy.ts',
        find: 'if (approvals === null) return reports;',
        replace: '',
      },
      {
        file: 'src/lifecycle/run-policy.ts',
        find: 'const order: DisposalOrder = { kind, owner, customer, branch, records, saidBy, approvals };',
        replace: 'const order = { kind, owner, customer, branch, records, saidBy, approvals: approvals ?? [] };',
      },
    ],
    caughtBy: ['deleted-before-verified'],
    life: (seed) =>
      life(seed, {
        records: [record('old', -9), record('r0', -3)],
        script: [{ at: FIRST_SWEEP_MS, act: { what: 'run', policy: 'chats', flush: true, expired: false } }],
      }),
  },
  {
    name: 'owner unknown and yet deleted',
    promise: 1,
    what: 'Expired records of an owner that moraine.yaml does not name are deleted as those of any other.',
    patches: [
      { file: 'src/lifecycle/known-owner.ts', find: 'if (context.owners.has(owner)) return;', replace: 'return;' },
    ],
    caughtBy: ['owner-unknown-deleted'],
    life: (seed) =>
      life(seed, {
        days: 2,
        records: [record('old', -9, { owner: 'ghost' }), record('r0', -3)],
        script: [
          { at: FIRST_SWEEP_MS, act: { what: 'run', policy: 'chats', flush: true, expired: true } },
          { at: FIRST_SWEEP_MS + 5 * MINUTE_MS, act: grantAll },
          { at: FIRST_SWEEP_MS + 10 * MINUTE_MS, act: { what: 'run', policy: 'chats', flush: true, expired: true } },
        ],
      }),
  },
  {
    name: 'quarantined archive purged',
    promise: 1,
    what: 'An archive that was put aside because its file is missing is purged when it is due.',
    patches: [
      {
        file: 'src/lifecycle/purge.ts',
        find: `state: 'cleared', dueAt: { $lte: asOf } }`,
        replace: `state: { $in: ['cleared', 'quarantined'] }, dueAt: { $lte: asOf } }`,
      },
      {
        file: 'src/lifecycle/purge.ts',
        find: `if (state !== 'cleared' && state !== 'purging')`,
        replace: `if (state !== 'cleared' && state !== 'purging' && state !== 'quarantined')`,
      },
      {
        file: 'src/ledger/purging.ts',
        find: `if (archive.state === 'cleared') {`,
        replace: `if (archive.state === 'cleared' || archive.state === 'quarantined') {`,
      },
    ],
    caughtBy: ['illegal-move'],
    life: (seed) =>
      life(seed, {
        days: 6,
        policy: { verify: 'inventory', archiveDays: 4 },
        records: [record('r0', -3), record('r1', -2.9), record('later', -0.9), record('latest', -0.2)],
        script: [{ at: DAY_MS + 6 * HOUR_MS, act: { what: 'lose file', pick: 0 } }],
      }),
  },
];
