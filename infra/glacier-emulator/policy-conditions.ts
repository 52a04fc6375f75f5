import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { matchesWildcard } from './wildcard.ts';

/**
 * Conditions of policies. A condition holds when each of its operators holds for each of its keys; an operator holds
 * for a key when any of the values does, a negated one when none does. Where the request has no such key, only negated
 * operators and those with `IfExists` hold.
 */
export type ConditionContext = ReadonlyMap<string, string>;

type Compare = (actual: string, wanted: string) => boolean;

const compareNumbers =
  (holds: (actual: number, wanted: number) => boolean): Compare =>
  (actual, wanted) => {
    const [left, right] = [Number(actual), Number(wanted)];
    return !Number.isNaN(left) && !Number.isNaN(right) && holds(left, right);
  };

const compareDates =
  (holds: (actual: number, wanted: number) => boolean): Compare =>
  (actual, wanted) => {
    const [left, right] = [instantOf(actual), instantOf(wanted)];
    return !Number.isNaN(left) && !Number.isNaN(right) && holds(left, right);
  };

/** ISO 8601, or seconds since 1970. */
const instantOf = (text: string) => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text));

/** The parts of an ARN are compared one by one: a `*` does not reach over a colon. */
const arnLike: Compare = (actual, wanted) => {
  const patterns = wanted.split(':');
  const parts = actual.split(':');
  const joined = [...parts.slice(0, 5), parts.slice(5).join(':')];
  const wantedParts = [...patterns.slice(0, 5), patterns.slice(5).join(':')];
  return joined.length === wantedParts.length && wantedParts.every((part, i) => matchesWildcard(part, joined[i] ?? ''));
};

const inNetwork: Compare = (actual, wanted) => {
  const [address = '', prefix] = wanted.split('/');
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  if (family === 'ipv6' && !isIPv6(address)) return false;
  const list = new BlockList();
  list.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  return list.check(actual, isIPv4(actual) ? 'ipv4' : 'ipv6');
};

const positive: Record<string, Compare> = {
  StringEquals: (actual, wanted) => actual === wanted,
  StringEqualsIgnoreCase: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase(),
  StringLike: (actual, wanted) => matchesWildcard(wanted, actual),
  NumericEquals: compareNumbers((actual, wanted) => actual === wanted),
  NumericLessThan: compareNumbers((actual, wanted) => actual < wanted),
  NumericLessThanEquals: compareNumbers((actual, wanted) => actual <= wanted),
  NumericGreaterThan: compareNumbers((actual, wanted) => actual > wanted),
  NumericGreaterThanEquals: compareNumbers((actual, wanted) => actual >= wanted),
  DateEquals: compareDates((actual, wanted) => actual === wanted),
  DateLessThan: compareDates((actual, wanted) => actual < wanted),
  DateLessThanEquals: compareDates((actual, wanted) => actual <= wanted),
  DateGreaterThan: compareDates((actual, wanted) => actual > wanted),
  DateGreaterThanEquals: compareDates((actual, wanted) => actual >= wanted),
  Bool: (actual, wanted) => actual.toLowerCase() === wanted.toLowerCase(),
  IpAddress: inNetwork,
  ArnEquals: arnLike,
  ArnLike: arnLike,
};

const negated: Record<string, string> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  NumericNotEquals: 'NumericEquals',
  DateNotEquals: 'DateEquals',
  NotIpAddress: 'IpAddress',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
};

/** `ForAnyValue:` and `ForAllValues:` go before an operator; every key that a request to this service has is single. */
const OPERATOR = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/;

export function isKnownOperator(text: string): boolean {
  const name = OPERATOR.exec(text)?.[2];
  return name === 'Null' || (name !== undefined && (name in positive || name in negated));
}

const OWN_KEYS = [/^glacier:ArchiveAgeInDays$/i, /^glacier:ResourceTag\/.+$/i, /^aws:.+$/i];

export const isKnownConditionKey = (key: string) => OWN_KEYS.some((pattern) => pattern.test(key));

/** Keys are found whatever their case; those of the context are in lower case, but for the tag's own name. */
export function conditionHolds(
  condition: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>,
  context: ConditionContext,
): boolean {
  return Object.entries(condition).every(([operator, byKey]) =>
    Object.entries(byKey).every(([key, values]) => holds(operator, context.get(contextKey(key)), values, context)),
  );
}

/** How a key is looked up: in lower case, a tag's name as it is. */
export function contextKey(key: string): string {
  const [prefix = '', ...rest] = key.split('/');
  return [prefix.toLowerCase(), ...rest].join('/');
}

function holds(
  operator: string,
  actual: string | undefined,
  values: readonly string[],
  context: ConditionContext,
): boolean {
  const [, quantifier, name = '', ifExists] = OPERATOR.exec(operator) ?? [];
  if (name === 'Null') return values.some((value) => (value === 'true') === (actual === undefined));
  const opposite = negated[name];
  if (actual === undefined) return opposite !== undefined || ifExists !== undefined || quantifier === 'ForAllValues';
  const compare = positive[opposite ?? name];
  const isMatch = values.some((value) => compare?.(actual, withVariables(value, context)));
  return opposite === undefined ? isMatch : !isMatch;
}

/** `${aws:username}` and the like stand for what the request has. */
function withVariables(value: string, context: ConditionContext): string {
  return value.replaceAll(/\$\{([^}]+)\}/g, (whole, key: string) => context.get(contextKey(key)) ?? whole);
}
