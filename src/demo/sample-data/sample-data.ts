/**
 * The contact centre of the demo: chats, tickets and calls of three owners and their customers, fit for
 * `policies/chats.yaml`, `tickets.yaml` and `calls.yaml`. The same seed, counts and `now` give the same documents.
 */
import { createHash } from 'node:crypto';
import type { Faker } from '@faker-js/faker';
import { faker } from '@faker-js/faker/locale/en';
import { ObjectId } from 'bson';
import { makeCall } from './calls.ts';
import { makeChat } from './chats.ts';
import { type SamplePeriods, type SampleSlot, slots } from './intents.ts';
import { makeTicket } from './tickets.ts';

export type SampleName = 'chats' | 'tickets' | 'calls';

export interface SampleOptions {
  readonly seed: number;
  /** The instant against which records are due or not. */
  readonly now: Date;
  readonly counts: Readonly<Record<SampleName, number>>;
}

export interface SampleDataset {
  /** The policy that it is made for, `policies/<name>.yaml`. */
  readonly policy: string;
  readonly database: string;
  readonly collection: string;
  readonly count: number;
  /** Plain objects that the driver can insert, in batches of up to {@link BATCH_DOCUMENTS}; each call begins anew. */
  batches(): Iterable<readonly Record<string, unknown>[]>;
}

export interface ContactCentreDataset extends SampleDataset {
  readonly policy: SampleName;
  /** What the documents are meant to show, one for each, in the same order. */
  slots(): Iterable<SampleSlot>;
}

export const BATCH_DOCUMENTS = 1000;

/** Enough that every customer has a few hundred records, and few enough for a minute. */
export const DEFAULT_COUNTS: SampleOptions['counts'] = { chats: 6000, tickets: 3000, calls: 4500 };

const DAY_MS = 86_400_000;
const MAKERS: Readonly<Record<SampleName, (faker: Faker, slot: SampleSlot, id: ObjectId) => Record<string, unknown>>> =
  {
    chats: makeChat,
    tickets: makeTicket,
    calls: makeCall,
  };

/** A backlog lies within the due window of its policy, and its oldest record has waited `maxWait`. */
const PERIODS: Readonly<Record<SampleName, SamplePeriods>> = {
  chats: { activeMonths: 24, archiveMonths: 84, backlogMs: 25 * DAY_MS },
  tickets: { activeMonths: 18, archiveMonths: 66, backlogMs: 25 * DAY_MS },
  calls: { activeMonths: 12, archiveMonths: 24, backlogMs: 12 * DAY_MS },
};

export function contactCentre(options: SampleOptions): readonly ContactCentreDataset[] {
  return [dataset('chats', options), dataset('tickets', options), dataset('calls', options)];
}

function dataset(name: SampleName, { seed, now, counts }: SampleOptions): ContactCentreDataset {
  const count = counts[name];
  const hashes = (index: number) => createHash('sha256').update(`${seed} ${name} ${index}`).digest();
  const fraction = (index: number) => hashes(index).readUInt32BE(0) / 2 ** 32;
  const allSlots = () => slots(count, PERIODS[name], now, fraction);
  return {
    policy: name,
    database: 'support',
    collection: name,
    count,
    slots: allSlots,
    *batches() {
      let batch: Record<string, unknown>[] = [];
      for (const slot of allSlots()) {
        const hash = hashes(slot.index);
        // Each document has a seed of its own, so that it does not depend on what was made before it.
        faker.seed(hash.readUInt32BE(4));
        batch.push(MAKERS[name](faker, slot, objectId(slot.at, hash.subarray(8, 16))));
        if (batch.length < BATCH_DOCUMENTS) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    },
  };
}

/** As a driver would have made it at that time. */
function objectId(at: Date, random: Uint8Array): ObjectId {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(Math.floor(at.getTime() / 1000));
  bytes.set(random, 4);
  return new ObjectId(bytes);
}
