/** Runs one simulated life from its scenario and says what the judge found. The same scenario always gives the same life. */
import './engine/no-threads.ts';
import { createCipheriv, createHash } from 'node:crypto';
import { BSON } from 'bson';
import { MARGINS } from '../../jobs/margins.ts';
import { putJob } from '../../jobs/queues.ts';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import { RELEASE_GRACE_MS } from '../../src/ledger/holds.ts';
import { openInstallation } from '../../src/ledger/installation.ts';
import type { StoreBackup } from '../../src/ledger/memory-store.ts';
import type { Call, Fault, FaultPlan, PlannedFault } from './engine/calls.ts';
import { CrashesAt, ListedFaults, RandomFaults } from './engine/fault-plans.ts';
import { SimulatedProcess } from './engine/process.ts';
import { Random } from './engine/random.ts';
import { Timeline } from './engine/timeline.ts';
import { ACCOUNTS } from './judge/due.ts';
import { Judge } from './judge/judge.ts';
import type { Violation } from './judge/observations.ts';
import { ANSWERS } from './world/answers.ts';
import { type Command, carryOut } from './world/commands.ts';
import { contextsOf, type Installed } from './world/context.ts';
import { Daemon } from './world/daemon.ts';
import { CANARY, isFamilyAct, performFamilyAct, prepareFiles, putChild } from './world/families.ts';
import { keysOf, settleOwner } from './world/people.ts';
import { publish } from './world/policy-file.ts';
import { type Act, DAY_MS, HOUR_MS, QUIET_DAYS, type RecordPlan, type Scenario, START_MS } from './world/scenario.ts';
import { Servers } from './world/servers.ts';
import { type Tally, tallyOf } from './world/tally.ts';

export interface LifeReport extends Tally {
  readonly violations: readonly Violation[];
  /** Faults that came to pass, in order: a replay by list takes them. */
  readonly faults: readonly PlannedFault[];
  /** Every call, act and fault in words, in order; empty unless asked for. */
  readonly trace: readonly string[];
  /** Calls of each process, by name, while faults may happen. */
  readonly calls: Readonly<Record<string, number>>;
  readonly steps: number;
  /** How commands and the product's log ended, by code: what a person would have read. */
  readonly said: Readonly<Record<string, number>>;
}

export interface LifeOptions {
  /** Keep a line for every call. */
  readonly trace?: boolean;
}

/** Far above what a life needs, one with days without a ledger and all its jobs coming back included: one that needs more goes round in circles. */
const MOST_STEPS = 400_000;
/** After the script: no fault any more, and somebody looks after everything again and again. */
const QUIET = { days: QUIET_DAYS, roundMs: DAY_MS };
/** The last round is over by the end. */
const LAST_ROUND_MS = 12 * HOUR_MS;
const BACKUP_EVERY_MS = 12 * HOUR_MS;
const LOOK_AGAIN_MS = 20_000;

export async function live(scenario: Scenario, options: LifeOptions = {}): Promise<LifeReport> {
  return await new Life(scenario, options).run();
}

class Life {
  readonly #scenario: Scenario;
  readonly #options: LifeOptions;
  readonly #random: Random;
  readonly #timeline = new Timeline(START_MS);
  readonly #faults: FaultPlan & { readonly done: readonly PlannedFault[]; end(): void };
  readonly #quiet: { readonly days: number; readonly roundMs: number };
  readonly #trace: string[] = [];
  readonly #calls: Record<string, number> = {};
  readonly #said: Record<string, number> = {};
  readonly #daemons: (Daemon | null)[] = [];
  readonly #generations: number[] = [];
  readonly #backups: { readonly at: number; readonly backup: StoreBackup }[] = [];
  /** What the application removed, and may insert again. */
  readonly #removed = new Map<string, Uint8Array>();
  #installed: Installed | null = null;
  #commands = 0;
  #savedQueues: unknown = null;
  #isDispatching = false;
  #isQuiet = false;
  #wakesAt = Number.POSITIVE_INFINITY;

  constructor(scenario: Scenario, options: LifeOptions) {
    this.#scenario = scenario;
    this.#options = options;
    this.#random = new Random(scenario.seed);
    this.#faults = this.#planOf(scenario.faults);
    this.#quiet = scenario.quiet ?? QUIET;
  }

  #planOf(faults: Scenario['faults']): FaultPlan & { readonly done: readonly PlannedFault[]; end(): void } {
    if (faults.by === 'list') return new ListedFaults(faults.list);
    if (faults.by === 'crashes') return new CrashesAt(faults.at, faults.kind);
    return new RandomFaults(this.#random.branch('faults'), this.#timeline, faults.weather);
  }

  async run(): Promise<LifeReport> {
    const { policies, owners, days, script, seed } = this.#scenario;
    const identities = new Map(await Promise.all(owners.map(async (owner) => [owner, await keysOf(owner)] as const)));
    const judge = new Judge({
      seed,
      policies: policies.map(({ facts }) => facts),
      owners,
      identities: Object.fromEntries([...identities].map(([owner, keys]) => [owner, keys.identities])),
      canary: CANARY,
      releaseGraceMs: RELEASE_GRACE_MS,
      ...(this.#scenario.approvals === undefined ? {} : { approvals: this.#scenario.approvals }),
    });
    const servers = new Servers(this.#timeline, judge, this.#random.branch('servers'));
    await this.#prepare(servers);
    for (let worker = 0; worker < this.#scenario.workers; worker++) this.#startDaemon(worker);
    for (const { at, act, by } of script) this.#timeline.at(START_MS + at, () => this.#perform(act, by));
    const end = START_MS + days * DAY_MS;
    for (let at = START_MS; at < end; at += BACKUP_EVERY_MS) this.#timeline.at(at, () => this.#backUp(servers));
    let outcome = await this.#timeline.run(end, MOST_STEPS);
    if (judge.violations.length === 0 && outcome === 'done') {
      await this.#quietDays(end);
      outcome = await this.#timeline.run(end + this.#quiet.days * DAY_MS, MOST_STEPS);
      if (outcome === 'done') await judge.end(servers.physical);
    }
    const endless: Violation[] =
      outcome === 'too many steps'
        ? [{ promise: 'end', property: 'goes-round-in-circles', text: `The life took more than ${MOST_STEPS} steps.` }]
        : [];
    return {
      violations: [...judge.violations, ...endless],
      faults: this.#faults.done,
      trace: this.#trace,
      calls: this.#calls,
      steps: this.#timeline.steps,
      ...tallyOf(servers.ledger),
      said: this.#said,
    };
  }

  async #prepare(servers: Servers): Promise<void> {
    const { policies, owners, records } = this.#scenario;
    await servers.prepare();
    const clock = { now: () => new Date(this.#timeline.now), monotonicMs: () => 0, sleep: async () => undefined };
    const { id: installation } = await openInstallation(servers.ledger, clock, 'production');
    const keys = new Map(await Promise.all(owners.map(async (owner) => [owner, await keysOf(owner)] as const)));
    for (const owner of owners) await settleOwner(servers.keyStore, owner, clock.now());
    for (const { facts, version } of policies)
      await publish({ store: servers.ledger, clock }, facts, version, 'set-up');
    for (const { facts } of policies) servers.source.settings(id.namespace(facts.namespace), {});
    if (this.#scenario.accounts !== undefined) {
      servers.source.settings(id.namespace(ACCOUNTS), {});
      for (const [customer, plan] of Object.entries(this.#scenario.accounts))
        await putAccount(servers, customer, plan, this.#scenario.until?.[customer]);
    }
    const families = policies.flatMap(({ facts }) => facts.family ?? []);
    await prepareFiles(servers, families, this.#scenario);
    for (const record of records) await servers.put('application', id.namespace(record.namespace), bytesOf(record, 0));
    for (const child of this.#scenario.children ?? []) await putChild(servers, child);
    const say = (ids: Readonly<Record<string, unknown>>) => this.#say(String(ids['code'] ?? 'log'));
    this.#installed = {
      servers,
      installation,
      owners,
      keysOf: keys,
      approvals: this.#scenario.approvals ?? { people: [], purgeStages: null },
      exports: new Map(),
      log: { info: () => undefined, warn: say, error: say },
    };
  }

  #process(name: string, onCrash: () => void): SimulatedProcess {
    return new SimulatedProcess({
      name,
      timeline: this.#timeline,
      random: this.#random.branch(name),
      faults: this.#faults,
      answers: ANSWERS,
      latencyMs: this.#scenario.latencyMs,
      onCrash: () => {
        this.#note(`${name} is gone`);
        onCrash();
      },
      onCall: (call, fault) => this.#onCall(call, fault),
    });
  }

  #onCall({ process, server, name, number }: Call, fault: Fault | null): void {
    if (!this.#isQuiet) this.#calls[process] = number;
    if (!this.#options.trace) return;
    const met = fault === null ? '' : `  <- ${fault.kind}${fault.ms > 0 ? ` ${Math.round(fault.ms / 1000)} s` : ''}`;
    this.#note(`${process} #${number} ${server} ${name}${met}`);
  }

  #note(text: string): void {
    if (this.#options.trace) this.#trace.push(`${new Date(this.#timeline.now).toISOString()} ${text}`);
  }

  #say(code: string): void {
    this.#said[code] = (this.#said[code] ?? 0) + 1;
  }

  // Daemons and their queues

  #startDaemon(worker: number): void {
    const installed = this.#world();
    const generation = (this.#generations[worker] ?? 0) + 1;
    this.#generations[worker] = generation;
    const name = `worker-${worker + 1}.${generation}`;
    const downMs = this.#random.branch(`${name} down`).int(2_000, 10 * 60_000);
    const process = this.#process(name, () => this.#later(worker, downMs));
    const daemon = new Daemon(process, installed, () => this.#dispatch());
    this.#daemons[worker] = daemon;
    this.#note(`${name} starts`);
    void daemon.watch();
    this.#dispatch();
  }

  #later(worker: number, ms: number): void {
    this.#daemons[worker] = null;
    this.#timeline.after(ms, () => {
      if (this.#daemons[worker] === null) this.#startDaemon(worker);
    });
  }

  /** Somebody looks at the queues soon, and again when a delayed job is due or a lock lapses. */
  #dispatch(): void {
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    this.#timeline.after(1, () => {
      this.#isDispatching = false;
      const { queues } = this.#world().servers;
      const up = this.#daemons.filter((daemon): daemon is Daemon => daemon?.isUp === true);
      if (up.some(({ process }) => !process.isFrozen)) queues.giveAwayStalled();
      for (const daemon of up) daemon.take();
      const next = queues.nextAt();
      if (next === null || next >= this.#wakesAt) return;
      this.#wakesAt = next;
      // Where nobody can take what has lapsed (all are frozen or down), look again after a while.
      this.#timeline.at(Math.max(next + 1, this.#timeline.now + LOOK_AGAIN_MS), () => {
        if (this.#wakesAt === next) this.#wakesAt = Number.POSITIVE_INFINITY;
        this.#dispatch();
      });
    });
  }

  #world(): Installed {
    if (this.#installed === null) throw new Error('The world is not there yet.');
    return this.#installed;
  }

  // Acts

  async #perform(act: Act, by?: string): Promise<void> {
    const { servers } = this.#world();
    if (this.#options.trace) this.#note(`act: ${JSON.stringify(act)}`);
    if (isFamilyAct(act)) return await performFamilyAct(servers, act);
    switch (act.what) {
      case 'insert':
        return await servers.put('application', id.namespace(act.record.namespace), bytesOf(act.record, 0));
      case 'update':
      case 'delete':
      case 'reinsert':
      case 'close':
      case 'solve':
        return await this.#change(servers, act);
      case 'change account':
        return await putAccount(servers, act.customer, act.plan, act.until);
      case 'sweep':
        this.#savedQueues = servers.queues.save();
        return await this.#queue('sweep', { policy: act.policy, flush: act.flush, by: 'schedule' });
      case 'queue':
        return await this.#queue(act.queue, { by: 'schedule' });
      case 'watchdog':
        for (const daemon of this.#daemons) if (daemon?.isUp) void daemon.watch();
        return;
      case 'kill':
        return this.#daemons[act.worker]?.process.crash();
      case 'stop': {
        const daemon = this.#daemons[act.worker];
        if (daemon == null) return;
        daemon.shutDown();
        // The process ends a while after it gave its jobs back.
        this.#timeline.after(act.downMs, () => daemon.process.crash());
        return;
      }
      case 'freeze':
        return this.#daemons[act.worker]?.process.freeze(act.ms);
      case 'set clock': {
        const process = this.#daemons[act.worker]?.process;
        process?.setSkew(act.skewMs);
        this.#timeline.after(act.forMs, () => process?.setSkew(0));
        return;
      }
      case 'flush queue':
        servers.queues.flush();
        return;
      case 'set queue back':
        if (this.#savedQueues !== null) servers.queues.restore(this.#savedQueues);
        return this.#dispatch();
      case 'deliver twice':
        for (const daemon of this.#daemons) daemon?.goSilent(3 * MARGINS.lockMs);
        return;
      case 'damage file':
      case 'lose file':
        return await this.#damage(servers, act);
      case 'set ledger back':
        return await this.#setLedgerBack(servers, act.hours);
      default:
        this.#command(act, by);
    }
  }

  /** A command that ends by itself; it is not waited for. */
  #command(command: Command, by?: string): void {
    if (by === undefined) this.#commands += 1;
    const process = this.#process(by ?? `operator-${this.#commands}`, () => undefined);
    const context = contextsOf(process, this.#world())();
    void carryOut(command, process, context, this.#world()).then(
      () => this.#note(`${process.name} is done`),
      (error: unknown) => {
        const code = error instanceof MoraineError ? error.code : 'INTERNAL';
        const text = error instanceof Error ? error.message : String(error);
        // Named by the hash of what is shown, the tree hash of a file among it: encryption makes another one in each life.
        this.#note(`${process.name}: ${code} ${text.replaceAll(/\bap-[0-9a-f]{16}/g, 'ap-...')}`);
        this.#say(code);
      },
    );
  }

  async #queue(queue: 'sweep', data: { policy: string; flush: boolean; by: string }): Promise<void>;
  async #queue(queue: 'purge' | 'reconcile' | 'retrieve', data: { by: string }): Promise<void>;
  async #queue(queue: 'sweep' | 'purge' | 'reconcile' | 'retrieve', data: never): Promise<void> {
    // A scheduler lives in Redis and has no process of its own.
    await putJob(this.#world().servers.queues.queues, queue, data, new Date(this.#timeline.now)).catch(() => false);
    this.#dispatch();
  }

  async #change(
    servers: Servers,
    act: Extract<Act, { what: 'update' | 'delete' | 'reinsert' | 'close' | 'solve' }>,
  ): Promise<void> {
    const namespace = id.namespace(act.namespace);
    const bytes = servers.recordBytes(namespace, act.id);
    const name = `${namespace} ${act.id}`;
    if ((act.what === 'update' || act.what === 'close' || act.what === 'solve') && bytes !== null) {
      const document = BSON.deserialize(bytes);
      if (act.what === 'close') document['closed'] = new Date(this.#timeline.now);
      if (act.what === 'solve') document['solved'] = new Date(this.#timeline.now);
      document['n'] = Number(document['n']) + 1;
      await servers.put('application', namespace, BSON.serialize(document));
    } else if (act.what === 'delete' && bytes !== null) {
      this.#removed.set(name, bytes);
      await servers.remove('application', namespace, act.id);
    } else if (act.what === 'reinsert' && bytes === null) {
      const before = this.#removed.get(name);
      if (before !== undefined) await servers.put('application', namespace, before);
    }
  }

  async #damage(servers: Servers, { what, pick }: Extract<Act, { what: 'damage file' | 'lose file' }>): Promise<void> {
    const files = [...servers.vault.files()];
    const found = files[pick % Math.max(1, files.length)];
    if (found === undefined) return;
    const { archive } = found;
    const kind = what === 'damage file' ? 'file damaged' : 'file lost';
    if (what === 'lose file') archive.deletedAt = servers.vault.now();
    else archive.bytes[archive.bytes.length >> 1] = (archive.bytes[archive.bytes.length >> 1] ?? 0) ^ 1;
    await servers.tell({ what: 'damage', kind, id: archive.vaultArchiveId });
  }

  #backUp(servers: Servers): void {
    this.#backups.push({ at: this.#timeline.now, backup: servers.ledger.backup() });
  }

  /** All processes stop, the ledger is what it was, and they start again. */
  async #setLedgerBack(servers: Servers, hours: number): Promise<void> {
    const wanted = this.#timeline.now - hours * HOUR_MS;
    const found = this.#backups.findLast(({ at }) => at <= wanted);
    if (found === undefined) return;
    for (const daemon of this.#daemons) daemon?.process.crash();
    servers.ledger.setBack(found.backup);
    await servers.tell({ what: 'damage', kind: 'ledger set back', id: new Date(found.at).toISOString() });
  }

  /** Faults are over. Clocks are right, everything runs, nothing is paused, and somebody looks after it again and again. */
  async #quietDays(from: number): Promise<void> {
    this.#isQuiet = true;
    this.#faults.end();
    for (const daemon of this.#daemons) daemon?.process.setSkew(0);
    const { policies, script } = this.#scenario;
    const pauses = script.flatMap(({ act }) => (act.what === 'pause' ? [act] : []));
    this.#timeline.at(from + 1, () => this.#perform({ what: 'check' }, 'caretaker'));
    for (const [at, { name, target, of }] of pauses.entries())
      this.#timeline.at(from + 2 * 60_000, () =>
        this.#perform({ what: 'resume', name, target, of }, `caretaker-${at + 1}`),
      );
    const { days, roundMs } = this.#quiet;
    for (let at = from + HOUR_MS; at < from + days * DAY_MS - LAST_ROUND_MS; at += roundMs) {
      for (const { facts } of policies)
        this.#timeline.at(at, () => this.#perform({ what: 'sweep', policy: facts.name, flush: true }));
      this.#timeline.at(at + 20 * 60_000, () => this.#perform({ what: 'queue', queue: 'purge' }));
      this.#reviewInQuiet(at + 25 * 60_000);
      // Vaults make an inventory a day: what asks for one looks twice as often.
      for (const wait of [0, roundMs / 2])
        this.#timeline.at(at + wait + 40 * 60_000, () => this.#perform({ what: 'queue', queue: 'reconcile' }));
      this.#timeline.at(at + 60 * 60_000, () => this.#perform({ what: 'watchdog' }));
    }
  }

  /** Who is asked for a review looks at it, stage after stage, and what they let go goes in the same round. */
  #reviewInQuiet(from: number): void {
    const stages = this.#scenario.approvals?.purgeStages;
    if (stages == null) return;
    for (const [stage, people] of stages.entries()) {
      const as = people[0] ?? `reviewer-${stage + 1}`;
      const act = { what: 'decide', pick: 'all', how: 'grant', as, kind: 'purge' } as const;
      this.#timeline.at(from + stage * 60_000, () => this.#perform(act, `reviewer-${stage + 1}-at-${from}`));
    }
    this.#timeline.at(from + 10 * 60_000, () => this.#perform({ what: 'queue', queue: 'purge' }));
  }
}

async function putAccount(servers: Servers, customer: string, plan: string, until?: number): Promise<void> {
  const date = until === undefined ? {} : { until: new Date(START_MS + until * DAY_MS) };
  await servers.put('application', id.namespace(ACCOUNTS), BSON.serialize({ _id: customer, plan, ...date }));
}

export function bytesOf(plan: RecordPlan, n: number): Uint8Array {
  const { id: _id, owner, tenant, at, closed, solved, mail, label, topic, size, family } = plan;
  return BSON.serialize({
    _id,
    ...(owner === null ? {} : { owner }),
    ...(tenant === null ? {} : { tenant }),
    ...(at === null ? {} : { at: new Date(START_MS + at * DAY_MS) }),
    ...(closed === undefined ? {} : { closed: new Date(START_MS + closed * DAY_MS) }),
    ...(solved === undefined ? {} : { solved: new Date(START_MS + solved * DAY_MS) }),
    ...(mail === null ? {} : { mail }),
    ...(label === undefined ? {} : { label }),
    ...(topic === undefined ? {} : { topic }),
    ...family,
    n,
    ...(size > LARGE ? { noise: noise(_id, size) } : {}),
    text: `${CANARY} ${_id} ${'x'.repeat(Math.min(size, LARGE))}`,
  });
}

/** A record of more than this makes a file of several parts: its bytes must not shrink when they are compressed. */
const LARGE = 100_000;

/** The same for the same name: a key stream of a cipher, as no chance of ours is needed for it. */
function noise(name: string, bytes: number): Uint8Array {
  const key = createHash('sha256').update(name).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}
