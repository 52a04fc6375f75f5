/**
 * A small life of tickets with comments, drawn from a seed: an application that writes, changes and removes comments at any
 * call of the product, a stranger whose comments name tickets of others, holds that come and go, and two processes that meet
 * a fault each. It is judged by what the server saw and by what the archives give back; the judge shares no code with what it judges.
 */
import { BSON } from 'bson';
import { newIdentity, openIdentity } from '../../../src/keys/identity-file.ts';
import { holds } from '../../../src/ledger/holds.ts';
import { runPolicy } from '../../../src/lifecycle/run-policy.ts';
import { aHold } from '../../harness/a-hold.ts';
import { Random } from '../engine/random.ts';
import {
  COMMENTS,
  comment,
  openFamily,
  putComment,
  putTicket,
  RUN_AT,
  restored,
  TICKETS,
  ticket,
} from '../family-world.ts';
import { FAULTS, Process } from '../faults.ts';

export const FAMILY_PROPERTIES = {
  'child-before-root': 'A child is deleted while its root is in the source.',
  'foreign-child-deleted': 'A child of another customer than its root is deleted.',
  'held-child-deleted': 'A child is deleted under a hold that is in force.',
  'child-lost': 'A child that was deleted does not come back as it was from any archive.',
  'void-child-restored': 'A child comes back as it was not when it was deleted, or although it was not deleted by us.',
  'orphan-left': 'In the end a child is left whose root we deleted before the last look, and nobody was told.',
  'work-not-finished': 'In the end an archive or a page waits for nothing.',
} as const;
export type FamilyProperty = keyof typeof FAMILY_PROPERTIES;

export interface FamilyViolation {
  readonly property: FamilyProperty;
  readonly text: string;
}

const { file, recipient } = await newIdentity({ now: new Date(0), scryptLogN: 4 });
const identity = await openIdentity(Buffer.from(file));

/** How likely something happens at a call of the source. */
const ACT_CHANCE = 0.2;
const MOST_CALLS = 220;
const TICKET_IDS = ['a', 'b', 'c'];

export async function liveFamily(seed: number): Promise<readonly FamilyViolation[]> {
  return await new FamilyLife(seed).run();
}

class FamilyLife {
  readonly #random: Random;
  readonly #violations: FamilyViolation[] = [];
  /** Comments that went by a delete of ours: the bytes, each time. */
  readonly #deleted = new Map<string, string[]>();
  #comments = 0;
  #isHeld = false;
  readonly #tooLate = new Set<string>();
  /** Once all tickets' archives are cleared nobody looks any more, and the application is still. */
  #isQuiet = false;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(Math.imul(seed, 0x9e3779b1));
    this.#random.int(0, 9);
  }

  async run(): Promise<readonly FamilyViolation[]> {
    const family = await openFamily({ recipient });
    const { world } = family;
    for (const _id of TICKET_IDS) {
      putTicket(family, ticket(_id));
      for (let left = this.#random.int(0, 3); left > 0; left--) await this.#write(family, _id);
      if (this.#random.chance(0.15)) await this.#write(family, _id, 'south');
    }
    this.#watch(family);
    const faults = this.#random.branch('faults');
    for (let round = 0; round < 2; round++) {
      const process = new Process(faults.pick(FAULTS), faults.int(1, MOST_CALLS));
      const run = this.#run(family, process);
      await Promise.race([run, process.asleep]);
      world.letLeasesEnd();
      // A sleeper wakes while others work, or when they have ended.
      if (faults.chance(0.5)) process.wake();
      await this.#run(family, new Process());
      process.wake();
      await run;
      world.letLeasesEnd();
    }
    this.#isQuiet = true;
    await holds(world.store).removeMany({});
    this.#isHeld = false;
    for (let left = 4; left > 0; left--) {
      await this.#run(family, new Process());
      world.letLeasesEnd();
    }
    await this.#judgeEnd(family);
    return this.#violations;
  }

  async #run(family: Family, process: Process): Promise<void> {
    const context = family.world.context(process, { asOf: RUN_AT });
    // What a process that was cut throws is its own affair.
    await runPolicy(context, family.policy, { flush: true, expired: null }).catch(() => undefined);
  }

  #watch(family: Family): void {
    const { source } = family.world;
    const deleteGuarded = source.deleteGuarded.bind(source);
    const readByIds = source.readByIds.bind(source);
    source.deleteGuarded = async (dataset, records, warrant) => {
      await this.#maybeAct(family);
      const tickets = new Set(this.#ids(family, TICKETS));
      const before = this.#all(family);
      const result = await deleteGuarded(dataset, records, warrant);
      const after = new Set(this.#all(family).keys());
      for (const [_id, bytes] of before) if (!after.has(_id)) this.#seeDeleted(_id, bytes, tickets);
      await this.#maybeAct(family);
      return result;
    };
    source.readByIds = async (namespace, ids) => {
      await this.#maybeAct(family);
      return await readByIds(namespace, ids);
    };
  }

  #seeDeleted(_id: string, bytes: Uint8Array, tickets: ReadonlySet<string>): void {
    const document = BSON.deserialize(bytes);
    const root = String(document['ticket']);
    if (tickets.has(root)) this.#report('child-before-root', `${_id} went while ${root} was there.`);
    if (document['tenant'] !== 'north') this.#report('foreign-child-deleted', `${_id} of ${root} went.`);
    if (this.#isHeld) this.#report('held-child-deleted', `${_id} of ${root} went under a hold.`);
    this.#deleted.set(_id, [...(this.#deleted.get(_id) ?? []), Buffer.from(bytes).toString('hex')]);
  }

  /** The application, a stranger, or a lawyer. */
  async #maybeAct(family: Family): Promise<void> {
    if (this.#isQuiet || !this.#random.chance(ACT_CHANCE)) return;
    const _id = this.#random.pick(TICKET_IDS);
    const comments = this.#ids(family, COMMENTS);
    switch (this.#random.int(0, 8)) {
      case 0:
      case 1:
        return await this.#write(family, _id);
      case 2:
        return await this.#write(family, _id, 'south');
      case 3:
      case 4: {
        if (comments.length === 0) return;
        const bytes = this.#all(family).get(this.#random.pick(comments));
        if (bytes === undefined) return;
        const document = BSON.deserialize(bytes);
        return await this.#put(family, { ...document, _id: String(document['_id']), n: Number(document['n']) + 1 });
      }
      case 5:
      case 6:
      case 7: {
        // A ticket that is there changes; one that is gone stays gone.
        if (!this.#ids(family, TICKETS).includes(_id)) return;
        return putTicket(family, ticket(_id, { n: this.#random.int(0, 99) }));
      }
      default:
        return await this.#holdOrRelease(family);
    }
  }

  async #holdOrRelease({ world }: Family): Promise<void> {
    if (this.#isHeld) {
      await holds(world.store).removeMany({});
      this.#isHeld = false;
      return;
    }
    await holds(world.store).insert(aHold({ _id: `hold-${this.#random.int(0, 1_000_000)}`, state: 'placing' }));
    // It is in force when everything that was announced before it has ended.
    world.clock.advance(60_000);
    this.#isHeld = true;
  }

  async #write(family: Family, of: string, tenant = 'north'): Promise<void> {
    this.#comments += 1;
    await this.#put(family, comment(`${of}-${this.#comments}`, of, { tenant, n: 0 }));
  }

  /** Nobody looks for what comes when the archive of its ticket is cleared. */
  async #put(family: Family, document: BSON.Document): Promise<void> {
    const isGone = !this.#ids(family, TICKETS).includes(String(document['ticket']));
    const cleared = (await family.world.archives()).some((each) => each.state === 'cleared' && !each.addendumTo);
    if (isGone && cleared) this.#tooLate.add(String(document['_id']));
    putComment(family, document);
  }

  #all({ world }: Family): Map<string, Uint8Array> {
    return new Map(world.source.all(COMMENTS).map((raw) => [String(BSON.deserialize(raw)['_id']), raw] as const));
  }

  #ids({ world }: Family, namespace: typeof TICKETS): string[] {
    return world.source.all(namespace).map((raw) => String(BSON.deserialize(raw)['_id']));
  }

  async #judgeEnd(family: Family): Promise<void> {
    const { world } = family;
    const back = new Map<string, string[]>();
    const archives = await world.archives();
    for (const archive of archives) {
      if (archive.state === 'abandoned') continue;
      if (archive.state !== 'cleared') {
        this.#report('work-not-finished', `Archive ${archive._id} is ${archive.state}.`);
        continue;
      }
      const context = world.context(undefined, { asOf: RUN_AT });
      const { found } = await restored(family, context, archive, identity);
      const own = archive.collection === undefined ? [] : (found['records'] ?? []);
      for (const raw of [...(found[COMMENTS] ?? []), ...own]) {
        const _id = String(BSON.deserialize(raw)['_id']);
        back.set(_id, [...(back.get(_id) ?? []), Buffer.from(raw).toString('hex')]);
      }
    }
    for (const [_id, deleted] of this.#deleted) {
      for (const bytes of deleted)
        if (!back.get(_id)?.includes(bytes)) this.#report('child-lost', `${_id} is nowhere.`);
    }
    for (const [_id, copies] of back) {
      const isOurs = copies.every((bytes) => this.#deleted.get(_id)?.includes(bytes));
      if (!isOurs) this.#report('void-child-restored', `${_id} comes back as it was not when it went.`);
    }
    const tickets = new Set(this.#ids(family, TICKETS));
    const told = new Set<unknown>((await world.all('quarantine')).map((entry) => quarantinedId(entry)));
    for (const [_id, bytes] of this.#all(family)) {
      const document = BSON.deserialize(bytes);
      if (tickets.has(String(document['ticket'])) || told.has(_id)) continue;
      // One of another customer stays, and one that came after the last look is nobody's.
      if (document['tenant'] !== 'north' || this.#tooLate.has(_id)) continue;
      this.#report('orphan-left', `${_id} is left, and its ticket is gone.`);
    }
  }

  #report(property: FamilyProperty, text: string): void {
    this.#violations.push({ property, text: `seed ${this.#seed}: ${text}` });
  }
}

function quarantinedId(entry: object): unknown {
  const bytes: unknown = Reflect.get(entry, 'idBytes');
  if (!(bytes instanceof Uint8Array)) return null;
  // Type byte, 4 bytes of length, the text, its end.
  return Buffer.from(bytes).toString('utf8', 5, bytes.length - 1);
}

type Family = Awaited<ReturnType<typeof openFamily>>;
