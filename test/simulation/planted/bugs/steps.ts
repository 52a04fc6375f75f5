/** Promises 6 and 7, and the end: every step may run twice, be cut anywhere, or run on two workers at once; all work finishes. */
import type { PlantedBug } from '../bug.ts';
import { life, record, SECOND_MS } from '../designed.ts';

const run = { what: 'run', policy: 'chats', flush: true, expired: false } as const;

export const STEP_BUGS: readonly PlantedBug[] = [
  {
    name: 'lease not checked',
    promise: 6,
    what: 'A worker that slept past its lease writes on, under the epoch of whoever has the archive now.',
    patches: [
      {
        file: 'src/ledger/leases.ts',
        find: 'if (used >= LEASE_MS - LEASE_STOP_BEFORE_END_MS) throw leaseLost(this.subject);',
        replace: 'void used;',
      },
      {
        file: 'src/ledger/leases.ts',
        find: 'if (current === null || current.epoch !== this.epoch) throw leaseLost(this.subject);\n      this.#document',
        replace: 'if (current === null) throw leaseLost(this.subject);\n      this.#document',
      },
    ],
    caughtBy: ['written-under-lost-lease', 'epoch-went-back', 'illegal-move'],
    life: (seed) => frozen(seed),
  },
  {
    name: 'epoch not raised by a claim',
    promise: 6,
    what: 'A claim keeps the epoch of the one before, so nobody can tell two holders of a lease apart.',
    patches: [
      {
        file: 'src/ledger/leases.ts',
        find: 'claimed = await collection.replace({ ...document, epoch: document.epoch + 1, lease });',
        replace: 'claimed = await collection.replace({ ...document, lease });',
      },
    ],
    caughtBy: ['written-under-lost-lease'],
    life: (seed) => frozen(seed),
  },
  {
    name: 'claim ignores who holds the lease',
    promise: 6,
    what: 'Whoever wants an archive takes it, while another worker is at it.',
    patches: [
      {
        file: 'src/ledger/leases.ts',
        find: 'if (lease.until.getTime() <= now.getTime()) return true;',
        replace: 'if (lease.until.getTime() > 0) return true;',
      },
    ],
    caughtBy: ['outcomes-do-not-add-up', 'written-under-lost-lease', 'lost-record'],
    life: (seed) =>
      life(seed, {
        aims: [
          // The second reads the page before the first one's intent is there, and the records after they are gone.
          { call: 'ledger clearingPages.insert', fault: slow(3), acts: [[10, run]] },
          { process: 'operator-1', call: 'source readByIds', fault: slow(6) },
          { call: 'source readByIds', nth: 2, fault: slow(20) },
        ],
      }),
  },
  {
    name: 'cut attempt left open',
    promise: 'end',
    what: 'Whoever takes an archive over does not abandon the attempt of the worker that was cut.',
    patches: [
      {
        file: 'src/lifecycle/store-archive.ts',
        find: `await abandonAttempts(context, lease, 'its worker was cut');`,
        replace: '',
      },
      {
        file: 'src/lifecycle/settle-attempts.ts',
        find: 'if (await isSuperseded(context, attempt)) left.push(attempt._id);',
        replace: 'void isSuperseded(context, attempt).catch(() => undefined);',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'key of an abandoned attempt kept',
    promise: 'end',
    what: 'An attempt is abandoned and its key stays.',
    patches: [
      {
        file: 'src/lifecycle/end-attempt.ts',
        find: 'await context.keys.destroy(attempt)',
        replace: 'context.clock.now()',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'lease of the dead never ends',
    promise: 7,
    what: 'What a dead worker held stays locked.',
    patches: [
      {
        file: 'src/ledger/leases.ts',
        find: 'if (lease.until.getTime() <= now.getTime()) return true;',
        replace: '',
      },
    ],
    caughtBy: ['goes-round-in-circles', 'work-not-finished', 'kept-too-long'],
    life: (seed) => life(seed, { aims: [{ call: 'vault storeWhole', fault: { kind: 'crash after', ms: 0 } }] }),
  },
  {
    name: 'crashed clearing not taken on',
    promise: 7,
    what: 'Nobody takes an archive on whose worker died after it was verified.',
    patches: [
      {
        file: 'src/lifecycle/carry-on.ts',
        find: `if (document.state === 'verified') document`,
        replace: `if (document.state === 'verified' && document.epoch === 1) document`,
      },
    ],
    caughtBy: ['work-not-finished', 'kept-too-long'],
    life: (seed) => life(seed, { aims: [{ call: 'source deleteGuarded', fault: { kind: 'crash before', ms: 0 } }] }),
  },
  {
    name: 'confirmed although it is listed',
    promise: 'end',
    what: 'Any inventory confirms a purge, also one that still lists the file.',
    patches: [
      { file: 'src/lifecycle/settle-vault.ts', find: `? 'still-there' : 'none'`, replace: `? 'confirm' : 'none'` },
    ],
    caughtBy: ['confirmed-and-still-there'],
    // A vault in which nothing comes or goes gets no later inventory: something comes.
    life: (seed) =>
      life(seed, {
        records: [record('r0', -3), record('later', 0.95)],
        aims: [{ call: 'vault deleteArchive', fault: { kind: 'stays', ms: 0 } }],
      }),
  },
  {
    name: 'older inventory taken for a refusal',
    promise: 'end',
    what: 'An inventory of before the delete, which lists the file of course, counts as if the vault had kept it.',
    patches: [
      {
        file: 'src/lifecycle/settle-vault.ts',
        find: 'if (entry !== null) return inventoryDate > acceptedAt ||',
        replace: 'if (entry !== null) return inventoryDate < now ||',
      },
    ],
    caughtBy: ['work-not-finished'],
    life: (seed) => life(seed),
  },
  {
    name: 'certificates leave numbers out',
    promise: 10,
    what: 'A certificate draws a number when it is begun, and another when it is written.',
    patches: [
      {
        file: 'src/ledger/certificates.ts',
        find: 'const number = (await newestNumber(store)) + 1;',
        replace: 'const number = (await newestNumber(store)) + 2;',
      },
    ],
    caughtBy: ['certificate-number'],
    life: (seed) => life(seed),
  },
  {
    name: 'two certificates with one number',
    promise: 10,
    what: 'Who numbers a certificate remembers the newest number from before, and nothing refuses a number that is taken.',
    patches: [
      {
        file: 'src/ledger/certificates.ts',
        find: '{ collection: CERTIFICATES, keys: { number: 1 }, unique: true },',
        replace: '',
      },
      {
        file: 'src/ledger/certificates.ts',
        find: 'const number = (await newestNumber(store)) + 1;',
        replace: 'remembered ??= (await newestNumber(store)) + 1;\n    const number = remembered;',
      },
      {
        file: 'src/ledger/certificates.ts',
        find: "const CERTIFICATES = 'certificates';",
        replace: "const CERTIFICATES = 'certificates';\nlet remembered: number | undefined;",
      },
    ],
    caughtBy: ['certificate-number'],
    life: (seed) => life(seed, { records: [record('r0', -3), record('r1', -40)], days: 30 }),
  },
  {
    name: 'certificate before any inventory',
    promise: 'end',
    what: 'A purge that the vault has accepted counts as confirmed at the next look, before an inventory was taken.',
    patches: [
      {
        file: 'src/ledger/archives.ts',
        find: 'state: move.to,\n',
        replace: `state: move.to === 'purged' ? 'confirmed' : move.to,\n`,
      },
    ],
    caughtBy: ['illegal-move'],
    life: (seed) => life(seed),
  },
];

/** A worker stands still for longer than its lease when it is about to clear; another one is at it when the first one wakes. */
function frozen(seed: number) {
  return life(seed, {
    aims: [
      {
        call: 'ledger archives.replace',
        // The move to `verified` has arrived, and its worker does not know.
        nth: 4,
        fault: { kind: 'freeze after', ms: 330 * SECOND_MS },
        acts: [[305 * SECOND_MS, run]],
      },
      { process: 'operator-1', call: 'source deleteGuarded', fault: slow(60) },
    ],
  });
}

function slow(seconds: number) {
  return { kind: 'delay', ms: seconds * SECOND_MS } as const;
}
