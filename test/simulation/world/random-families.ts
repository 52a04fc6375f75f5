/** Children and files in a third of the lives of chance, and an application that does not leave them alone either. */
import type { Random } from '../engine/random.ts';
import type { FamilyFacts, PolicyFacts } from '../judge/observations.ts';
import { type ChildPlan, type FilePlan, type RecordFamily, refOf } from './families.ts';
import { CUSTOMERS, OWNERS } from './random-records.ts';
import { BUSY_MS, DAYS, ROUND_MS, someTime } from './random-times.ts';
import { type Act, DAY_MS, HOUR_MS, type RecordPlan, type Scenario, type ScriptedAct } from './scenario.ts';

const FILES: readonly NonNullable<FamilyFacts['files']>[] = [
  [],
  [],
  ['clips'],
  ['clips', 'logos', 'sheets'],
  ['logos', 'sheets'],
];
const LOGOS = ['logo-1', 'logo-2'] as const;
const SIZES = [0, 10, 3_000] as const;
/** What was sealed waits for half a minute before it is deleted: by then it is gone, and soon nobody looks any more. */
const CLEARED_MS = 33_000;

/** The same life, with something on its records; or, mostly, just the same life. */
export function withFamilies(life: Scenario, random: Random): Scenario {
  if (!random.chance(1 / 3)) return life;
  const families = new Map(life.policies.map(({ facts }) => [facts.namespace, someFamily(random, facts.namespace)]));
  const having = (facts: PolicyFacts): PolicyFacts => {
    const family = families.get(facts.namespace);
    return family === undefined ? facts : { ...facts, family };
  };
  const growing = new Growing(random, families, life.policies);
  const records = life.records.map((record) => growing.grow(record));
  const script = life.script.map((entry): ScriptedAct => {
    if (entry.act.what === 'insert') return { ...entry, act: { ...entry.act, record: growing.grow(entry.act.record) } };
    if (entry.act.what === 'publish') return { ...entry, act: { ...entry.act, policy: having(entry.act.policy) } };
    return entry;
  });
  const policies = life.policies.map((policy) => ({ ...policy, facts: having(policy.facts) }));
  const added = application(random.branch('application'), growing);
  return {
    ...life,
    policies,
    records,
    children: growing.children,
    files: growing.files,
    script: [...script, ...added].sort((a, b) => a.at - b.at),
  };
}

function someFamily(random: Random, namespace: string): FamilyFacts {
  const files = random.pick(FILES);
  const children = {
    collection: `${namespace}.notes`,
    parent: random.chance(0.7) ? ('_id' as const) : ('ref' as const),
  };
  if (files.length === 0) return { children };
  return { ...(random.chance(0.8) ? { children } : {}), files };
}

/** Collects what hangs on records while they are named. */
class Growing {
  readonly children: ChildPlan[] = [];
  readonly files: FilePlan[] = LOGOS.map((key) => ({ kind: 'logos', key, size: 100 }));
  /** Records that the application may meddle with. */
  readonly roots: { readonly record: RecordPlan; readonly facts: FamilyFacts; readonly activeDays: number }[] = [];
  readonly #random: Random;
  readonly #families: ReadonlyMap<string, FamilyFacts>;
  readonly #activeDays: ReadonlyMap<string, number>;

  constructor(random: Random, families: ReadonlyMap<string, FamilyFacts>, policies: Scenario['policies']) {
    this.#activeDays = new Map(policies.map(({ facts }) => [facts.namespace, facts.activeDays]));
    this.#random = random.branch('growing');
    this.#families = families;
  }

  grow(record: RecordPlan): RecordPlan {
    const facts = this.#families.get(record.namespace);
    if (facts === undefined) return record;
    const random = this.#random;
    const isLate = record.id === 'late';
    const grown = { ...record, family: this.#filesOf(record, facts, isLate) };
    const { owner, tenant } = record;
    if (facts.children !== undefined && owner !== null && tenant !== null) {
      for (let left = isLate ? 1 : random.pick([0, 1, 1, 2, 3]); left > 0; left--)
        this.children.push(
          childOf(random, grown, facts.children, `${record.id}-${left}`, !isLate && random.chance(0.06)),
        );
    }
    const activeDays = this.#activeDays.get(record.namespace) ?? 0;
    if (!isLate) this.roots.push({ record: grown, facts, activeDays });
    return grown;
  }

  #filesOf({ id, namespace }: RecordPlan, { files = [] }: FamilyFacts, isLate: boolean): RecordFamily {
    const random = this.#random;
    // Two collections may have a record of the same name; a file is of one of them.
    const own = `${namespace}-${id}`;
    const file = (kind: FilePlan['kind'], key: string) => {
      // Now and then a record names what is not there.
      if (isLate || !random.chance(0.04)) this.files.push({ kind, key, size: random.pick(SIZES) });
      return key;
    };
    const clips = Array.from({ length: files.includes('clips') ? random.pick([0, 1, 1, 2]) : 0 }, (_, at) => {
      const key = file('clips', `clip-${own}-${at}`);
      return random.chance(0.5) ? { key, version: 'v1' } : { key };
    });
    const sheets = files.includes('sheets') && random.chance(0.5) ? [file('sheets', `sheet-${own}`)] : [];
    const logos = files.includes('logos') && random.chance(0.5) ? [random.pick(LOGOS)] : [];
    return {
      ref: refOf(id),
      ...(clips.length > 0 ? { clips } : {}),
      ...(logos.length > 0 ? { logos } : {}),
      ...(sheets.length > 0 ? { sheets } : {}),
    };
  }
}

function childOf(
  random: Random,
  { id, owner, tenant }: RecordPlan,
  { collection, parent }: NonNullable<FamilyFacts['children']>,
  name: string,
  isForeign: boolean,
): ChildPlan {
  const isOwner = isForeign && random.chance(0.3);
  const others = (all: readonly string[], not: string | null) => all.find((each) => each !== not) ?? 'other';
  return {
    namespace: collection,
    id: name,
    of: parent === 'ref' ? refOf(id) : id,
    owner: isOwner ? others(OWNERS, owner) : (owner ?? OWNERS[0]),
    tenant: isForeign && !isOwner ? others(CUSTOMERS, tenant) : (tenant ?? CUSTOMERS[0]),
    size: random.pick([10, 200]),
  };
}

function application(random: Random, { roots, children, files }: Growing): ScriptedAct[] {
  const script: ScriptedAct[] = [];
  if (roots.length === 0) return script;
  for (let left = random.int(2, 12); left > 0; left--) {
    const { record, facts, activeDays } = random.pick(roots);
    const at = random.chance(0.3) ? someTime(random) : clearingTime(random, record, activeDays);
    const named = [...(record.family?.clips ?? []).map(({ key }) => key), ...(record.family?.sheets ?? [])];
    const own = files.filter(({ key }) => named.includes(key));
    if (own.length > 0 && random.chance(0.35)) {
      const file = random.pick(own);
      const act: Act = random.chance(0.4)
        ? { what: 'put file', file }
        : { what: 'remove file', kind: file.kind, key: file.key, how: random.pick(['hide', 'destroy'] as const) };
      script.push({ at, act });
      if (act.what === 'remove file' && random.chance(0.4))
        script.push({ at: at + random.int(0, BUSY_MS), act: { what: 'put file', file } });
      continue;
    }
    if (facts.children === undefined || record.owner === null || record.tenant === null) continue;
    const { collection: namespace } = facts.children;
    const ours = children.filter((child) => child.namespace === namespace && child.id.startsWith(`${record.id}-`));
    if (ours.length === 0 || random.chance(0.5)) {
      const child = childOf(random, record, facts.children, `${record.id}-new${left}`, random.chance(0.12));
      script.push({ at, act: { what: 'insert child', child } });
      continue;
    }
    const { id, tenant } = random.pick(ours);
    const what = random.pick(['update', 'update', 'delete', 'give'] as const);
    if (what === 'give') {
      script.push({ at, act: { what: 'give child', namespace, id, tenant: tenant === 'north' ? 'south' : 'north' } });
      // Mostly a mistake that somebody notices.
      if (random.chance(0.5))
        script.push({ at: at + random.int(0, DAY_MS), act: { what: 'give child', namespace, id, tenant } });
      continue;
    }
    script.push({ at, act: { what, namespace, id } });
    if (what === 'delete' && random.chance(0.6))
      script.push({ at: at + random.int(0, BUSY_MS), act: { what: 'reinsert', namespace, id } });
  }
  return script.filter(({ at }) => at < DAYS * DAY_MS);
}

/** In a round that may take the record: while it is sealed, waits to be deleted, goes, and soon after. */
function clearingTime(random: Random, { at }: RecordPlan, activeDays: number): number {
  const dueMs = ((at ?? 0) + activeDays) * DAY_MS - HOUR_MS;
  const round = Math.max(0, Math.ceil(dueMs / ROUND_MS)) + random.pick([0, 0, 0, 1, 2]);
  return HOUR_MS + ROUND_MS * round + random.int(500, CLEARED_MS);
}
