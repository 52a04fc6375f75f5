/**
 * Whether a new version of a policy may let something go that the old one keeps, or let it go sooner: told from the two
 * texts alone, for data that is not there yet as well. Whatever cannot be told to be harmless counts.
 */
import { canonicalJson } from '../canonical-json.ts';
import {
  type Branch,
  type DispositionRule,
  dispositionRuleOf,
  type PeriodRule,
  type Policy,
  type RetentionRule,
  SPECIFICITIES,
} from './policy.ts';
import { isAtLeast } from './shortest.ts';
import { valueName } from './values.ts';

export interface MoreDeletable {
  readonly text: string;
  /** `sooner`: of the schedule, so it waits for the grace. `limits`: a run may take more of what is due anyway. */
  readonly kind: 'sooner' | 'limits';
}

/** What makes more data deletable under `next`; empty: nothing does. */
export function deletesMore(old: Policy, next: Policy): readonly MoreDeletable[] {
  const sooner = [
    ...ofDataset(old, next),
    ...(same(old.trigger, next.trigger) ? [] : ['The periods count from something else.']),
    ...(old.zone === next.zone ? [] : [`Days begin in ${next.zone} instead of ${old.zone}.`]),
    ...(isNotShorter(next.active, old.active) ? [] : ['The active period may be shorter.']),
    ...ofRules(old.rules ?? [], next.rules ?? []),
    ...ofDisposition(old, next),
    ...(isAtLeast(next.grace, old.grace) ? [] : ['The grace is shorter: exceptions that end or shorten act earlier.']),
  ];
  return [
    ...sooner.map((text) => ({ text, kind: 'sooner' as const })),
    ...(['records', 'share'] as const).flatMap((cap) => {
      const [before, after] = [old.limits[cap], next.limits[cap]];
      if (after === null || (before !== null && after <= before)) return [];
      return [{ text: `limits.${cap} is raised: one run may take more.`, kind: 'limits' as const }];
    }),
  ];
}

function ofDataset({ dataset: old }: Policy, { dataset: next }: Policy): readonly string[] {
  const children = (next.children ?? []).filter((child) => !(old.children ?? []).some((one) => same(one, child)));
  const files = (next.attachments ?? []).filter(
    (file) => file.exclusive && !(old.attachments ?? []).some((one) => same(one, file)),
  );
  return [
    ...(old.collection === next.collection ? [] : [`It is about ${next.collection} instead of ${old.collection}.`]),
    ...(same(old.owner, next.owner) ? [] : ['Owners are told by something else.']),
    ...(same(old.customer, next.customer) ? [] : ['Customers are told by something else.']),
    ...(same(old.lookUps ?? {}, next.lookUps ?? {}) ? [] : ['Look-ups find other documents.']),
    ...children.map(({ collection }) => `Children in ${collection} go with their record.`),
    ...(files.length === 0 ? [] : ['Attachments go with their record.']),
  ];
}

function ofRules(old: readonly RetentionRule[], next: readonly RetentionRule[]): readonly string[] {
  const known = (rules: readonly RetentionRule[], { name }: RetentionRule) => rules.find((one) => one.name === name);
  const lost = old.flatMap((rule) => {
    const now = known(next, rule);
    const isAbout = now !== undefined && same(now.when, rule.when);
    const retains = rule.retain === undefined || (isAbout && isLonger(now?.retain, rule.retain));
    const deletes =
      rule.delete === undefined || (isAbout && now?.specificity === rule.specificity && now.delete !== undefined);
    return [
      ...(retains ? [] : [`Rule ${rule.name} retains less.`]),
      ...(deletes ? [] : [`Rule ${rule.name} no longer says when its records go: another date does.`]),
    ];
  });
  const added = next.flatMap((rule) => {
    if (rule.delete === undefined) return [];
    const before = known(old, rule);
    const isAsBefore = before !== undefined && same(before.when, rule.when) && rank(before) === rank(rule);
    return isAsBefore && isLonger(rule.delete, before?.delete) ? [] : [`Rule ${rule.name} may let records go sooner.`];
  });
  return [...lost, ...added];
}

function rank({ specificity }: RetentionRule): number {
  return SPECIFICITIES.indexOf(specificity);
}

function isLonger(next: PeriodRule | undefined, old: PeriodRule | undefined): boolean {
  return next !== undefined && old !== undefined && isNotShorter(next, old);
}

function ofDisposition(old: Policy, next: Policy): readonly string[] {
  const texts: string[] = [...ofBranches(dispositionRuleOf(old), dispositionRuleOf(next), [])];
  if (old.archive === null || next.archive === null) return [...new Set(texts)];
  if (!isNotShorter(next.archive.for, old.archive.for)) texts.push('The archive period may be shorter.');
  if (old.archive.verify === 'inventory' && next.archive.verify === 'checksum')
    texts.push('Originals go without waiting for an inventory of the vault.');
  return [...new Set(texts)];
}

/** `where`: what leads to the two, as "customer acme". */
function ofBranches(old: DispositionRule, next: DispositionRule, where: readonly string[]): readonly string[] {
  if (same(old, next)) return [];
  const by = 'by' in next ? next.by : 'by' in old ? old.by : null;
  if (by !== null && (!('by' in old) || !('by' in next) || same(old.by, next.by))) {
    const name = typeof by === 'string' ? by : valueName(by);
    const tiers = [...new Set([old, next].flatMap((rule) => ('by' in rule ? Object.keys(rule.of) : [])))];
    const isBlind = 'by' in old && typeof old.by !== 'string' && !('by' in next);
    return [
      // A record whose value was of no use stayed for ever: without a look at that value it goes.
      ...(isBlind ? [`What happens to a record no longer depends on ${name}.`] : []),
      ...tiers.flatMap((tier) =>
        ofBranches(branchFor(old, tier), branchFor(next, tier), [...where, `${name} ${tier}`]),
      ),
      ...ofBranches(otherwise(old), otherwise(next), where.length === 0 ? [] : [...where, 'otherwise']),
    ];
  }
  if (by !== null) return [`What happens to a record depends on something else${whereWords(where)}.`];
  return 'by' in old || 'by' in next ? [] : ofBranch(old, next, whereWords(where));
}

function branchFor(rule: DispositionRule, tier: string): DispositionRule {
  if (!('by' in rule)) return rule;
  return (Object.hasOwn(rule.of, tier) ? rule.of[tier] : undefined) ?? rule.otherwise;
}

function otherwise(rule: DispositionRule): DispositionRule {
  return 'by' in rule ? rule.otherwise : rule;
}

function whereWords(where: readonly string[]): string {
  return where.length === 0 ? '' : ` for ${where.join(', ')}`;
}

function ofBranch(old: Branch, next: Branch, where: string): readonly string[] {
  const texts: string[] = [];
  if (destroys(old) < destroys(next))
    texts.push(`What is due is ${DISPOSED[next.disposition]} instead of ${DISPOSED[old.disposition]}${where}.`);
  const kept = (old.treat ?? []).map(({ field }) => field);
  const more = (next.treat ?? []).filter((one) => !(old.treat ?? []).some((before) => same(before, one)));
  if (destroys(old) === destroys(next) && old.treat !== undefined && next.treat === undefined)
    texts.push(`Originals are deleted that stayed with some fields treated${where}.`);
  if (old.treat !== undefined && more.length > 0)
    texts.push(
      `Fields are treated that were not, or in another way: ${more.map(({ field }) => field).join(', ')}${where}.`,
    );
  else if (old.disposition === 'treat' && next.disposition === 'archive' && kept.length > 0 && next.treat === undefined)
    texts.push(`Originals are deleted that stayed with some fields treated${where}.`);
  return texts;
}

const DISPOSED = { archive: 'archived', delete: 'deleted', treat: 'treated in place' } as const;

/** How much of a record is gone when it was disposed of: with a copy, in part, all of it. */
function destroys({ disposition }: Branch): number {
  return { archive: 0, treat: 1, delete: 2 }[disposition];
}

/** Ends never earlier, for any record and on any day. False also where that cannot be told. */
export function isNotShorter(next: PeriodRule | null, old: PeriodRule | null): boolean {
  if (same(next, old)) return true;
  if (next === null || old === null) return false;
  if (typeof next !== 'string' && typeof old !== 'string') {
    if ('by' in next && 'by' in old && same(next.by, old.by)) {
      const tiers = [...new Set([...Object.keys(next.of), ...Object.keys(old.of)])];
      const pairs = tiers.map((tier) => [of(next, tier), of(old, tier)] as const);
      return [...pairs, [next.otherwise, old.otherwise] as const].every(([a, b]) => isNotShorter(a, b));
    }
    if ('months' in next && 'months' in old && same(next.months, old.months))
      return next.atMost >= old.atMost && isAtLeast(next.otherwise, old.otherwise);
    if ('until' in next && 'until' in old && same(next.until, old.until)) return isAtLeast(next.atMost, old.atMost);
  }
  // A record whose value was of no use stayed for ever: without a look at that value it goes.
  return !looksAtValues(old) && shortest(next).every((one) => longest(old).every((other) => isAtLeast(one, other)));
}

function looksAtValues(rule: PeriodRule): boolean {
  if (typeof rule === 'string') return false;
  if (!('by' in rule) || typeof rule.by !== 'string') return true;
  return [...Object.values(rule.of), rule.otherwise].some(looksAtValues);
}

function of(rule: Extract<PeriodRule, { by: unknown }>, tier: string): PeriodRule {
  return (Object.hasOwn(rule.of, tier) ? rule.of[tier] : undefined) ?? rule.otherwise;
}

/** One of these is the shortest that it can come to. */
function shortest(rule: PeriodRule): readonly string[] {
  if (typeof rule === 'string') return [rule];
  if ('months' in rule) return ['P1M', rule.otherwise];
  if ('until' in rule) return ['P0D'];
  return [...Object.values(rule.of), rule.otherwise].flatMap(shortest);
}

/** Of a rule that looks at no value. */
function longest(rule: PeriodRule): readonly string[] {
  if (typeof rule === 'string') return [rule];
  return 'by' in rule ? [...Object.values(rule.of), rule.otherwise].flatMap(longest) : [];
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
