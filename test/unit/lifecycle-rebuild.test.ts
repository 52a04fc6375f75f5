/** A lost ledger, step by step: what is found by which key, what an identity shows, what stops until a person accepts, and strays. */
import type { BSON } from 'bson';
import { beforeEach, describe, expect, test } from 'vitest';
import { readFileEnd } from '../../src/archive/file-end.ts';
import { id } from '../../src/ids.ts';
import { unwrapArchiveKey } from '../../src/keys/administrator.ts';
import { newIdentity, openIdentity } from '../../src/keys/identity-file.ts';
import { endAlarms, openAlarms } from '../../src/ledger/alarms.ts';
import type { ArchiveDocument } from '../../src/ledger/archive-document.ts';
import { attempts } from '../../src/ledger/attempts.ts';
import { findFindings } from '../../src/ledger/findings.ts';
import { readInstallation } from '../../src/ledger/installation.ts';
import { accept, findInstallation, openRebuild, type RebuildOptions, rebuild } from '../../src/lifecycle/rebuild.ts';
import { runPolicy } from '../../src/lifecycle/run-policy.ts';
import { disposeOfStray } from '../../src/lifecycle/stray.ts';
import { type Policy, policyVersion } from '../../src/policy/policy.ts';
import { MemoryWorld } from '../simulation/memory-world.ts';

const RUN_AT = '2024-06-01T00:00:00Z';
const { file, recipient } = await newIdentity({ now: new Date(), scryptLogN: 10 });
const identity = await openIdentity(Buffer.from(file));
/** Everything but the key store, which is in the same database here. */
const LOST = [
  ...['archives', 'attempts', 'audit', 'inventories', 'partitions', 'policyVersions', 'policiesInForce', 'recordIndex'],
  ...['rosterExceptions', 'archiveFacets', 'runs', 'quarantine', 'inFlight', 'recordMarks'],
];

let world: MemoryWorld;
let policy: Policy;
let before: ArchiveDocument;
beforeEach(async () => {
  world = await MemoryWorld.open(recipient);
  policy = await world.publish(`
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 2 years
then: archive
archive: { for: 7 years, vault: cold }
limits: { records: 5000, share: 1.0 }
`);
  for (const _id of ['a', 'b', 'c']) put(_id);
  await runPolicy(context(), policy, { flush: true, expired: null });
  before = await theArchive();
  expect(before.state).toBe('cleared');
});

const context = () => world.context(undefined, { asOf: RUN_AT });
const put = (_id: string, text = 'as it was') =>
  world.put(policy, { _id, owner: 'acme', tenant: 'north', at: new Date('2020-01-01'), text } satisfies BSON.Document);

async function theArchive(): Promise<ArchiveDocument> {
  const [archive, ...others] = await world.archives();
  if (archive === undefined || others.length > 0) throw new Error('One archive was expected.');
  return archive;
}

async function lose(): Promise<void> {
  for (const name of LOST) await world.store.collection(name).removeMany({});
}

async function begin(): Promise<void> {
  const installation = await findInstallation(context().vaults.values(), null, 'sandbox');
  await openRebuild(context(), { installation, environment: 'sandbox', begunBy: 'person:test' });
}

/** As often as inventories and retrievals take. */
async function rebuilt(isShown: boolean, policies: readonly Policy[] = [policy]) {
  const openKey: NonNullable<RebuildOptions['prove']>['openKey'] = (wrapped) => unwrapArchiveKey(wrapped, identity);
  const options: RebuildOptions = {
    policies: policies.map((one) => ({ policy: one, version: policyVersion(one) })),
    prove: isShown ? { openKey, tier: 'standard' } : null,
    by: 'person:test',
  };
  for (let look = 0; look < 12; look += 1) {
    const report = await rebuild(context(), options);
    if (report.isRead) return report;
    world.vault.advance(8);
  }
  throw new Error('It did not come to its end.');
}

describe('rebuild', () => {
  test('an archive in its vault is found, and stays quarantined without an identity; nothing may destroy', async () => {
    await lose();
    await begin();
    expect(await rebuilt(false)).toMatchObject({ unproven: 1, unknownVersions: [], failed: [] });
    const found = await theArchive();
    expect(found).toMatchObject({
      ...{ state: 'quarantined', quarantinedFrom: 'cleared', quarantineReason: 'ARCHIVE_NOT_PROVEN', policy: 'chats' },
      stored: { vaultArchiveId: before.stored?.vaultArchiveId, treeHash: before.stored?.treeHash },
    });
    // Never due before its day.
    expect(found.dueAt?.getTime()).toBeGreaterThanOrEqual(before.dueAt?.getTime() ?? Number.NaN);
    expect(await endAlarms(world.store)).toBe(0);
    expect((await openAlarms(world.store)).map(({ code }) => code)).toEqual(['LEDGER_REBUILT']);
    put('d');
    const { problems } = await runPolicy(context(), policy, { flush: true, expired: null }).catch((error: unknown) => ({
      problems: [error],
    }));
    expect(problems).toMatchObject([{ code: 'LEDGER_REBUILT' }]);
  });

  test('with an identity: what is absent from the source counts as copy, what is there stays the original', async () => {
    await lose();
    put('a');
    put('b', 'another text');
    await begin();
    expect(await rebuilt(true)).toMatchObject({ unproven: 0, failed: [] });
    const { stored, outcomes, dueAt, state } = await theArchive();
    expect(state).toBe('cleared');
    expect(outcomes).toMatchObject({ archived: 3, deleted: 1, held: 1, changed: 1, pending: 0 });
    const { records, merkleRoot, manifestSha256, recordBytes } = before.stored ?? {};
    expect(stored).toMatchObject({ records, merkleRoot, manifestSha256, recordBytes });
    expect(dueAt).toEqual(before.dueAt);
    expect(world.idsIn(policy)).toEqual(['a', 'b']);
    await world.assertTotalsHold();
    await accept(context(), 'person:test');
    expect(await openAlarms(world.store)).toEqual([]);
    await expect(begin()).rejects.toMatchObject({ code: 'LEDGER_NOT_EMPTY' });
  });

  test('without the policy file the archive is not shown; with it, it is', async () => {
    await lose();
    await begin();
    const { unknownVersions, unproven } = await rebuilt(true, []);
    expect(unknownVersions).toEqual([{ version: policyVersion(policy), archives: 1 }]);
    expect(unproven).toBe(1);
    expect(await rebuilt(true)).toMatchObject({ unknownVersions: [], unproven: 0 });
  });

  test('a file whose key is destroyed is named abandoned; one whose key is nowhere is a stray', async () => {
    await context().keys.destroy(before.attempt ?? id.attempt(''));
    await lose();
    await begin();
    expect(await rebuilt(true)).toMatchObject({ unproven: 0 });
    expect(await world.archives()).toEqual([]);
    expect(await attempts(world.store).get(before.attempt ?? '')).toMatchObject({
      state: 'abandoned',
      cleanedUp: false,
    });
    await lose();
    for (const name of ['archiveKeys', 'rebuilds', 'alarms']) await world.store.collection(name).removeMany({});
    await begin();
    await rebuilt(true);
    const kinds: string[] = [];
    for await (const { kind, archive } of findFindings(world.store, {})) kinds.push(`${kind} ${archive}`);
    expect(kinds).toEqual([`stray ${before._id}`]);
    expect(await world.archives()).toEqual([]);
  });

  test('not into a ledger that knows something; not for an installation that no vault names; an id is kept', async () => {
    await expect(begin()).rejects.toMatchObject({ code: 'LEDGER_NOT_EMPTY' });
    const vaults = () => context().vaults.values();
    await expect(findInstallation(vaults(), 'another', 'sandbox')).rejects.toMatchObject({
      code: 'INSTALLATION_UNKNOWN',
    });
    await expect(findInstallation(vaults(), null, 'production')).rejects.toMatchObject({
      code: 'ENVIRONMENT_MISMATCH',
    });
    const installation = await readInstallation(world.store);
    await lose();
    await world.store.collection('installation').removeMany({});
    await begin();
    expect(await readInstallation(world.store)).toMatchObject({ id: installation?.id, environment: 'sandbox' });
  });
});

describe('a stray', () => {
  test('is not disposed of without another person, nor under what is an archive of the ledger', async () => {
    await lose();
    await world.store.collection('archiveKeys').removeMany({});
    await begin();
    await rebuilt(false);
    await accept(context(), 'person:test');
    let stray = '';
    for await (const { _id } of findFindings(world.store, { kind: 'stray' })) stray = _id;
    const dispose = () => disposeOfStray(context(), stray, { by: 'person:test', reason: 'a double' });
    await expect(dispose()).rejects.toMatchObject({ code: 'APPROVAL_NEEDED' });
    expect(world.vault.archivesIn(before.vault)).toHaveLength(1);
    await expect(disposeOfStray(context(), 'stray-none', { by: 'x', reason: 'y' })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });
});

describe('the end of a file', () => {
  const bytesOf = () => world.vault.archivesIn(before.vault)[0]?.bytes ?? new Uint8Array();
  const verify = async () => true;

  test('gives the manifest, from any part that reaches to it; null from one that does not', async () => {
    const bytes = bytesOf();
    const whole = await readFileEnd(bytes, verify);
    expect(whole?.sha256).toBe(before.stored?.manifestSha256);
    expect(whole?.manifest).toMatchObject({ archive: before._id, records: 3 });
    expect(await readFileEnd(bytes.subarray(bytes.byteLength - 1_024), verify)).toBeNull();
  });

  test('a signature that does not hold, and a file that ends inside of the manifest: corrupt', async () => {
    const refused = { code: 'ARCHIVE_CORRUPT' };
    await expect(readFileEnd(bytesOf(), async () => false)).rejects.toMatchObject(refused);
    await expect(readFileEnd(bytesOf().subarray(0, -3_072), verify)).rejects.toMatchObject(refused);
  });
});
